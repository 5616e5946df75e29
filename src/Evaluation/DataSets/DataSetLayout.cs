namespace KernelAD.Evaluation.DataSets;

/// <summary>How the files of a data set are arranged.</summary>
public enum DataSetLayout
{
    /// <summary>
    /// MVTec AD: <c>train/good</c>, <c>test/good</c>, <c>test/DEFECT</c>, <c>ground_truth/DEFECT/NAME_mask.png</c>; see <see cref="MvtecLayout"/>.
    /// </summary>
    Mvtec,

    /// <summary>VisA: a table <c>split_csv/1cls.csv</c>; see <see cref="VisaLayout"/>.</summary>
    Visa,

    /// <summary>BTAD: <c>train/ok</c>, <c>test/ok</c>, <c>test/ko</c>, <c>ground_truth/ko</c>; see <see cref="BtadLayout"/>.</summary>
    Btad,

    /// <summary>Folders of good and of anomalous pictures, with or without masks; see <see cref="FolderLayout"/>.</summary>
    Folder,

    /// <summary>ADer: a list <c>meta.json</c>; see <see cref="AderLayout"/>.</summary>
    Ader,

    /// <summary>UniAD: lists <c>train.json</c> and <c>test.json</c> of one JSON object a line; see <see cref="UniAdLayout"/>.</summary>
    UniAd,
}

/// <summary>The names of <see cref="DataSetLayout"/> on command lines and in reports.</summary>
public static class DataSetLayouts
{
    /// <summary>All names, in the order of the enumeration.</summary>
    public static IReadOnlyList<string> Names { get; } = ["mvtec", "visa", "btad", "folder", "ader", "uniad"];

    /// <summary>A layout's name.</summary>
    public static string Name(this DataSetLayout layout) => Names[(int)layout];

    /// <summary>The layout of a name; null if there is none of that name.</summary>
    public static DataSetLayout? Parse(string name)
    {
        for (int i = 0; i < Names.Count; i++)
        {
            if (Names[i] == name)
            {
                return (DataSetLayout)i;
            }
        }

        return null;
    }
}

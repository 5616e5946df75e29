using System.Globalization;
using System.Text;
using KernelAD.Evaluation.DataSets;
using KernelAD.Preprocessing;

namespace KernelAD.Evaluation;

/// <summary>Outlines of the anomalous regions of a mask, along the edges of its pixels.</summary>
internal static class RegionOutline
{
    private static readonly (int X, int Y)[] Steps = [(1, 0), (0, 1), (-1, 0), (0, -1)];

    /// <summary>The outlines as the <c>d</c> of an SVG path.</summary>
    /// <param name="mask">The mask.</param>
    /// <param name="region">Where it lies in the drawing.</param>
    public static string Trace(Mask mask, PictureRegion region)
    {
        // A pixel's upper edge that borders an anomaly-free pixel starts an outline, unless an earlier one went along it.
        bool[] visited = new bool[mask.Pixels.Length];
        StringBuilder path = new();
        for (int y = 0; y < mask.Height; y++)
        {
            for (int x = 0; x < mask.Width; x++)
            {
                if (IsAnomalous(mask, x, y) && !IsAnomalous(mask, x, y - 1) && !visited[(y * mask.Width) + x])
                {
                    Follow(mask, region, x, y, visited, path);
                }
            }
        }

        return path.ToString();
    }

    private static bool IsAnomalous(Mask mask, int x, int y) =>
        x >= 0 && y >= 0 && x < mask.Width && y < mask.Height && mask.Pixels[(y * mask.Width) + x] != 0;

    /// <summary>Goes along the edges with the region to the right until the start is reached again; writes a corner wherever the direction changes.</summary>
    private static void Follow(Mask mask, PictureRegion region, int startX, int startY, bool[] visited, StringBuilder path)
    {
        (int x, int y, int direction) = (startX, startY, 0);
        path.Append('M');
        Append(x, y);
        do
        {
            if (direction == 0)
            {
                visited[(y * mask.Width) + x] = true;
            }

            x += Steps[direction].X;
            y += Steps[direction].Y;
            int next = Turn(mask, x, y, direction);
            if (next != direction && (x, y) != (startX, startY))
            {
                path.Append('L');
                Append(x, y);
            }

            direction = next;
        }
        while ((x, y, direction) != (startX, startY, 0));
        path.Append('Z');

        void Append(int column, int row) => path.Append(
            CultureInfo.InvariantCulture, $"{region.Left + (column * region.Width / mask.Width):0.#} {region.Top + (row * region.Height / mask.Height):0.#}");
    }

    /// <summary>The direction after a corner: regions touch at corners (8-connected), so the outline keeps left where it can.</summary>
    private static int Turn(Mask mask, int x, int y, int direction)
    {
        // The two pixels ahead of the corner, to the left and to the right of the way.
        (int dx, int dy) = Steps[direction];
        bool left = IsAnomalous(mask, x + Math.Min(0, dx + dy), y + Math.Min(0, dy - dx));
        bool right = IsAnomalous(mask, x + Math.Min(0, dx - dy), y + Math.Min(0, dy + dx));
        return left ? (direction + 3) % 4 : right ? direction : (direction + 1) % 4;
    }
}

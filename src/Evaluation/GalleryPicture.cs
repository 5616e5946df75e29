using KernelAD.Evaluation.DataSets;
using KernelAD.Imaging;
using KernelAD.Preprocessing;

namespace KernelAD.Evaluation;

/// <summary>What a report needs to show a picture: a small copy, the map, and the outline of the anomalous regions.</summary>
public sealed class GalleryPicture : IDisposable
{
    /// <summary>The longer side of the small copy.</summary>
    private const int Side = 192;

    private const int Quality = 82;

    private readonly Picture _thumbnail;
    private readonly float[] _map;
    private readonly int _mapHeight;
    private readonly int _mapWidth;

    private GalleryPicture(string name, Picture thumbnail, float[] map, int mapHeight, int mapWidth, PictureRegion region, string outline)
    {
        Name = name;
        _thumbnail = thumbnail;
        _map = map;
        _mapHeight = mapHeight;
        _mapWidth = mapWidth;
        Region = region;
        Outline = outline;
    }

    /// <summary>The picture's name in its data set.</summary>
    public string Name { get; }

    /// <summary>Width of the small copy.</summary>
    public int Width => _thumbnail.Width;

    /// <summary>Height of the small copy.</summary>
    public int Height => _thumbnail.Height;

    /// <summary>The part of the small copy that map and mask cover.</summary>
    public PictureRegion Region { get; }

    /// <summary>The outline of the anomalous regions as the <c>d</c> of an SVG path, in pixels of the small copy; empty if there are none.</summary>
    public string Outline { get; }

    /// <summary>The lowest and the highest value of the map.</summary>
    public (float Low, float High) Range => (_map.Min(), _map.Max());

    /// <summary>Takes what is needed.</summary>
    /// <param name="name">The picture's name.</param>
    /// <param name="picture">The picture.</param>
    /// <param name="map">Its map, kept.</param>
    /// <param name="mapHeight">Height of the map.</param>
    /// <param name="mapWidth">Width of the map.</param>
    /// <param name="region">The part of the picture that the map covers.</param>
    /// <param name="mask">Its mask, which covers the same part; null if there is none.</param>
    internal static GalleryPicture Of(string name, Picture picture, float[] map, int mapHeight, int mapWidth, PictureRegion region, Mask? mask)
    {
        Picture thumbnail = Thumbnail.Create(picture.View, Side);
        double x = (double)thumbnail.Width / picture.Width;
        double y = (double)thumbnail.Height / picture.Height;
        PictureRegion small = new(region.Top * y, region.Left * x, region.Height * y, region.Width * x);
        return new GalleryPicture(name, thumbnail, map, mapHeight, mapWidth, small, mask is null ? "" : RegionOutline.Trace(mask, small));
    }

    /// <summary>The small copy as a <c>data:</c> address.</summary>
    public string PictureUri() => JpegEncoder.ToDataUri(_thumbnail.View, Quality);

    /// <summary>The small copy with the map laid over it, as a <c>data:</c> address.</summary>
    public string OverlayUri(HeatMapScale scale)
    {
        using Picture overlay = Overlay.Draw(_thumbnail.View, new MapView(_map, _mapHeight, _mapWidth), new OverlayOptions(scale) { Region = Region });
        return JpegEncoder.ToDataUri(overlay.View, Quality);
    }

    /// <summary>Frees the small copy.</summary>
    public void Dispose() => _thumbnail.Dispose();
}

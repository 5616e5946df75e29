using OpenQA.Selenium;
using OpenQA.Selenium.Chrome;

namespace KernelAD.Browser.Tests;

/// <summary>Chromium without a window, from the folder that KERNELAD_CHROMIUM names or from the PATH.</summary>
internal static class Browser
{
    private static readonly string? Folder = Find();

    /// <summary>Starts it.</summary>
    /// <param name="dark">Whether the user prefers dark pages.</param>
    public static ChromeDriver Start(bool dark = false)
    {
        if (Folder is null)
        {
            Assert.Ignore("chromium and chromedriver are not there: set KERNELAD_CHROMIUM to the folder that build/chromium.sh prints");
        }

        ChromeOptions options = new() { BinaryLocation = Path.Combine(Folder!, "chromium") };
        options.AddArguments("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1280,1600", "--hide-scrollbars");
        if (dark)
        {
            options.AddArgument("--blink-settings=preferredColorScheme=0");
        }

        options.SetLoggingPreference(LogType.Browser, LogLevel.All);
        options.SetLoggingPreference(LogType.Performance, LogLevel.All);
        ChromeDriverService service = ChromeDriverService.CreateDefaultService(Folder!, "chromedriver");
        service.SuppressInitialDiagnosticInformation = true;
        return new ChromeDriver(service, options);
    }

    private static string? Find()
    {
        IEnumerable<string?> folders = [Environment.GetEnvironmentVariable("KERNELAD_CHROMIUM"), .. (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator)];
        return folders.FirstOrDefault(f => !string.IsNullOrEmpty(f) && File.Exists(Path.Combine(f, "chromium")) && File.Exists(Path.Combine(f, "chromedriver")));
    }
}

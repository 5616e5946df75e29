using System.Globalization;
using OpenQA.Selenium;
using OpenQA.Selenium.Chrome;

namespace KernelAD.Browser.Tests;

/// <summary>The report in a browser, opened from the file system as its readers do.</summary>
[Category("Browser")]
[FixtureLifeCycle(LifeCycle.SingleInstance)]
public sealed class ReportTests : IDisposable
{
    private ReportFixture? _report;
    private ChromeDriver? _browser;

    private ReportFixture Report => _report!;

    private ChromeDriver Page => _browser!;

    [OneTimeSetUp]
    public void Open()
    {
        _browser = Browser.Start();
        _report = new ReportFixture();
    }

    [SetUp]
    public void Load() => Page.Navigate().GoToUrl(Report.Url);

    public void Dispose()
    {
        _browser?.Dispose();
        _report?.Dispose();
    }

    [Test]
    public void The_confusion_matrix_starts_at_the_best_F1()
    {
        // Between 0.8 and 0.9: four of five found, no false reject.
        Assert.That(Confusion(), Is.EqualTo((4, 1, 0, 8)));
        Assert.That(Page.FindElement(By.Id("rates")).Text, Does.Contain("80.0 %").And.Contain("0.8889"));
    }

    [Test]
    public void The_slider_recomputes_the_confusion_matrix([Values(0, 250, 500, 730, 999, 1000)] int position)
    {
        double threshold = Slide(position);
        int tp = ReportFixture.Anomalous.Count(s => s >= threshold), fp = ReportFixture.Good.Count(s => s >= threshold);
        Assert.That(Confusion(), Is.EqualTo((tp, ReportFixture.Anomalous.Length - tp, fp, ReportFixture.Good.Length - fp)));
    }

    [Test]
    public void Each_kind_of_defect_has_a_row()
    {
        string[] row = [.. Page.FindElements(By.CssSelector("#kinds tbody tr > *")).Select(c => c.Text)];
        Assert.That(row, Is.EqualTo((string[])["scratch", "5", "4", "80.0 %", "0.9000"]));
    }

    [Test]
    public void The_slider_s_ends_reject_everything_and_nothing()
    {
        Slide(0);
        Assert.That(Confusion(), Is.EqualTo((5, 0, 8, 0)));
        Slide(1000);
        Assert.That(Confusion(), Is.EqualTo((0, 5, 0, 8)));
        Page.FindElement(By.Id("reset")).Click();
        Assert.That(Confusion(), Is.EqualTo((4, 1, 0, 8)));
    }

    [Test]
    public void Pictures_are_sorted_by_score()
    {
        Choose("sort", "high");
        Assert.That(Scores(), Has.Length.EqualTo(13).And.Ordered.Descending);
        Choose("sort", "low");
        Assert.That(Scores(), Is.Ordered.Ascending);
    }

    [Test]
    public void The_worst_error_comes_first()
    {
        // 0.45 is the only anomalous picture that passes; then those nearest to the threshold.
        Assert.That(Scores()[0], Is.EqualTo(0.45).Within(1e-6));
        Slide(0);
        Assert.That(Scores()[0], Is.EqualTo(0.8).Within(1e-6));
    }

    [Test]
    public void Filters_show_the_errors_at_the_threshold()
    {
        Choose("filter", "fa");
        Assert.That(Scores(), Is.EqualTo((double[])[0.45]).Within(1e-6));
        Slide(0);
        Choose("filter", "fr");
        Assert.That(Scores().Order(), Is.EqualTo(ReportFixture.Good).Within(1e-6));
    }

    [Test]
    public void A_picture_shows_itself_its_map_and_the_outline_of_its_truth()
    {
        Choose("sort", "high");
        IWebElement first = Page.FindElement(By.CssSelector("#gallery figure"));
        Assert.That(first.FindElements(By.CssSelector(".views > *")), Has.Count.EqualTo(3));
        Assert.That(first.FindElement(By.CssSelector("path.truth")).GetDomAttribute("d"), Is.EqualTo("M16 0L24 0L24 24L16 24Z"));
        object? loaded = Page.ExecuteScript("return [...document.querySelectorAll('#gallery img')].every(i => i.src.startsWith('data:image/jpeg')) && document.querySelector('#gallery img').naturalWidth");
        Assert.That(loaded, Is.EqualTo(24));
    }

    [Test]
    public void Curves_are_drawn_and_metrics_shown()
    {
        Assert.That(Page.FindElements(By.CssSelector("#curves path.curve")), Has.Count.EqualTo(5));
        Assert.That(Page.FindElement(By.Id("curves")).Text, Does.Contain("AUROC 0.9000"));
        string facts = Page.FindElement(By.Id("facts")).Text;
        Assert.That(facts, Does.Contain("SHA-256").And.Contain("bilinear resize").And.Contain("cpu, 2 threads").And.Contain("ader; source values above 0"));
        Assert.That(Page.FindElement(By.Id("problem-list")).Text, Does.Contain("99.png: cannot be read"));
    }

    [Test]
    public void A_category_with_undefined_metrics_says_so()
    {
        Choose("category", "wood");
        Assert.That(Page.FindElement(By.Id("cards")).Text, Does.Contain("n/a"));
        Assert.That(Page.FindElement(By.Id("reasons")).Text, Does.Contain("no anomalous image"));
        Assert.That(Confusion(), Is.EqualTo((0, 0, 0, 1)));
    }

    [Test]
    public void Names_of_files_are_text()
    {
        Assert.That(Page.FindElement(By.Id("gallery")).Text, Does.Contain("<img src=x onerror=alert(1)>"));
        Assert.That(Page.FindElements(By.CssSelector("#gallery img[src=x]")), Is.Empty);
    }

    [Test]
    public void Nothing_goes_wrong_and_nothing_is_fetched()
    {
        foreach (string sort in (string[])["name", "worst"])
        {
            Choose("sort", sort);
        }

        Choose("category", "wood");
        Choose("category", "tile");
        Slide(400);
        Assert.That(Page.Manage().Logs.GetLog(LogType.Browser).Select(e => e.Message), Is.Empty);
        string[] requests = [.. Page.Manage().Logs.GetLog(LogType.Performance).Select(e => e.Message).Where(m => m.Contains("Network.requestWillBeSent\"", StringComparison.Ordinal))];
        Assert.That(requests, Is.Not.Empty.And.All.Match("\"url\":\"(file:|data:)"));
        Assert.That(requests, Has.None.Match("\"url\":\"(https?|wss?|ftp):"));
    }

    [Test]
    public void Pictures_that_are_not_embedded_are_counted_and_still_listed()
    {
        using ReportFixture small = new(shown: 4);
        Page.Navigate().GoToUrl(small.Url);
        Assert.That(Page.FindElement(By.Id("gallery-note")).Text, Does.Contain("13 of 13 pictures; 4 are embedded"));
        Choose("sort", "worst");
        Assert.That(Page.FindElements(By.CssSelector("#gallery .none")), Has.Count.EqualTo(9));
        Assert.That(Page.FindElement(By.CssSelector("#gallery figure")).FindElements(By.TagName("img")), Is.Not.Empty, "the worst error is embedded");
    }

    [Test]
    public void The_page_is_dark_for_those_who_prefer_it()
    {
        using ChromeDriver dark = Browser.Start(dark: true);
        dark.Navigate().GoToUrl(Report.Url);
        const string Background = "return getComputedStyle(document.body).backgroundColor";
        Assert.That(dark.ExecuteScript(Background), Is.Not.EqualTo(Page.ExecuteScript(Background)));
    }

    /// <summary>Moves the slider as a user does and returns the threshold that it stands for.</summary>
    private double Slide(int position)
    {
        Page.ExecuteScript("const s = document.getElementById('threshold'); s.value = arguments[0]; s.dispatchEvent(new Event('input'));", position);
        return Convert.ToDouble(Page.ExecuteScript("return threshold"), CultureInfo.InvariantCulture);
    }

    private (int TruePositives, int FalseNegatives, int FalsePositives, int TrueNegatives) Confusion() => (Number("tp"), Number("fn"), Number("fp"), Number("tn"));

    private int Number(string id) => int.Parse(Page.FindElement(By.Id(id)).Text, CultureInfo.InvariantCulture);

    private void Choose(string list, string value) => Page.FindElement(By.Id(list)).FindElement(By.CssSelector($"option[value='{value}']")).Click();

    private double[] Scores() =>
        [.. Page.FindElements(By.CssSelector("#gallery figure")).Select(f => double.Parse(f.GetDomAttribute("data-score")!, CultureInfo.InvariantCulture))];
}

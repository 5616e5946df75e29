// Each test runs the command as a process of its own; a few at a time keep every processor busy.
[assembly: Parallelizable(ParallelScope.All)]
[assembly: FixtureLifeCycle(LifeCycle.InstancePerTestCase)]

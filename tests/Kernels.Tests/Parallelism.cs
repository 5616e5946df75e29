// Most launches are checked for races, which the emulator does on one thread; every test has a device of its own.
[assembly: Parallelizable(ParallelScope.All)]
[assembly: FixtureLifeCycle(LifeCycle.InstancePerTestCase)]

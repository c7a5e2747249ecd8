/** Ends a run with one plain line a script can read, `123 passed, 0 failed, 0 skipped`; where CI is set, a skipped test fails the run. */
import type { Reporter, TestModule } from 'vitest/node'

export class ClosingLineReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[]): void {
    let passed = 0
    let failed = errors.length
    let skipped = 0
    for (const module of modules) {
      // A module that could not be loaded has no tests and still failed.
      failed += module.errors().length
      for (const suite of module.children.allSuites()) failed += suite.errors().length
      for (const test of module.children.allTests()) {
        const { state } = test.result()
        if (state === 'passed') passed++
        else if (state === 'failed') failed++
        else skipped++
      }
    }
    if (failed > 0 || (process.env.CI !== undefined && skipped > 0)) process.exitCode = 1
    console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`)
  }
}

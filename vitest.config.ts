import { defineConfig } from 'vitest/config'
import { ClosingLineReporter } from './test/reporters/closing-line.js'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    maxWorkers: 2,
    // For every JVM the tests start, and it starts: none lives long enough to earn back what the second compiler and G1 cost it.
    env: { JDK_JAVA_OPTIONS: '-XX:TieredStopAtLevel=1 -XX:+UseSerialGC' },
    reporters: ['default', new ClosingLineReporter()],
    // What is built is loaded by Node itself, as users and workers load it: one copy a process.
    server: { deps: { external: [/\/dist\//] } },
    typecheck: { enabled: true, include: ['test/types/**/*.test-d.ts'], tsconfig: 'test/tsconfig.json' },
  },
})

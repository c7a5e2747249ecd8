/** Spark as the tests run it: Millrace's jar, built with Maven, and the jars of the Sparks tested, from Maven Central. */
export default function spark({ run, say }) {
  say('compiling, and building the bridge; the first time this fetches its dependencies from Maven Central')
  run('node_modules/.bin/tsc', ['-b'])
  run(process.execPath, ['scripts/build-bridge.mjs'])
  run(process.execPath, ['scripts/spark-jars.mjs'])
  say('ready')
}

/** HiveMQ Community Edition, the second broker of the MQTT tests: its jars from Maven Central, in `.cache/hivemq/`. */
import { existsSync, writeFileSync } from 'node:fs'

export default function hivemq({ cache, run, say }) {
  const directory = cache('hivemq')
  const done = `${directory}/complete`
  if (!existsSync(done)) {
    say('copying its jars')
    run('mvn', [
      '-B',
      '-q',
      '-f',
      'test/support/hivemq/pom.xml',
      'dependency:copy-dependencies',
      `-DoutputDirectory=${directory}/lib`,
    ])
    writeFileSync(done, '')
  }
  say(`ready (${directory}/lib)`)
}

/** A JDK and Maven: Spark, HiveMQ and the bridge to Spark are Java. */
import { spawnSync } from 'node:child_process'

export default function java({ say, find, aptInstall }) {
  const missing = Object.entries({ javac: 'openjdk-17-jdk-headless', mvn: 'maven' })
    .filter(([program]) => find(program) === null)
    .map(([, name]) => name)
  if (missing.length > 0) aptInstall(missing, say)
  const { stdout = '' } = spawnSync('javac', ['--version'], { encoding: 'utf8' })
  const version = Number(/^javac (\d+)/.exec(stdout)?.[1])
  if (!(version >= 17)) {
    throw new Error(`The tests need a JDK 17 or newer, and javac --version says: ${stdout.trim() || 'nothing'}.`)
  }
  say(`ready (javac ${version})`)
}

// Builds bridge/target/millrace-bridge.jar with Maven, unless it is newer than every source of it.
// usage: node scripts/build-bridge.mjs [--force]
import { spawnSync } from 'node:child_process'
import { readdirSync, statSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const bridge = fileURLToPath(new URL('../bridge/', import.meta.url))
const changed = (path) => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0
const sources = readdirSync(`${bridge}src`, { recursive: true }).map((name) => `${bridge}src/${name}`)
const newest = Math.max(changed(`${bridge}pom.xml`), ...sources.map(changed))
if (process.argv.includes('--force') || changed(`${bridge}target/millrace-bridge.jar`) < newest) {
  console.log('Building bridge/target/millrace-bridge.jar with Maven.')
  const { status, error } = spawnSync('mvn', ['-B', '-q', 'package'], { cwd: bridge, stdio: 'inherit' })
  if (error) console.error(`Cannot start Maven (mvn): ${error.message}`)
  process.exitCode = status ?? 1
} else {
  console.log('bridge/target/millrace-bridge.jar is up to date.')
}

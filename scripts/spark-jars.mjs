// Fetches the jars of the Spark versions named as arguments (default: all the tests run on) into .cache/spark-<version>/jars.
// usage: node scripts/spark-jars.mjs [version …]      (after `npm run build`)
import { fileURLToPath } from 'node:url'
import { installSpark, testedSparkVersions } from '../dist/engine/spark/spark-install.js'

const cache = fileURLToPath(new URL('../.cache', import.meta.url))
const versions = process.argv.length > 2 ? process.argv.slice(2) : testedSparkVersions
for (const version of versions) await installSpark(version, cache, (step) => console.log(step))

// Fetches the jars of the Spark versions named as arguments into .cache/spark-<version>/jars. Default: what the tests run on, which
// is the oldest and the newest, and with a MILLRACE_BUDGET above 1 all between them.
// usage: node scripts/spark-jars.mjs [version …]      (after `npm run build`)
import { fileURLToPath } from 'node:url'
import { installSpark, testedSparkVersions } from '../dist/engine/spark/spark-install.js'

const cache = fileURLToPath(new URL('../.cache', import.meta.url))
const budgeted = Number(process.env.MILLRACE_BUDGET ?? 1) > 1
const needed = budgeted ? testedSparkVersions : [testedSparkVersions[0], testedSparkVersions.at(-1)]
const versions = process.argv.length > 2 ? process.argv.slice(2) : needed
for (const version of versions) await installSpark(version, cache, (step) => console.log(step))

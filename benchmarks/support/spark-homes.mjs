/** The Spark and the PySpark that benchmarks on Spark use, of one version, fetched into `.cache/` the first time. */
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { installSpark, SPARK_VERSION_DEFAULT } from '../../dist/engine/spark/spark-install.js'

const root = fileURLToPath(new URL('../../', import.meta.url))
const cache = `${root}.cache`

/** The directory that serves as SPARK_HOME; the bridge jar is built too. */
export async function sparkHome() {
  execFileSync(process.execPath, [`${root}scripts/build-bridge.mjs`], { stdio: 'inherit' })
  return installSpark(SPARK_VERSION_DEFAULT, cache, (step) => console.error(step))
}

/** A Python that has PySpark of the same version, in an environment of its own. */
export function pythonWithPySpark() {
  const python = `${cache}/pyspark/bin/python`
  const version = `pyspark==${SPARK_VERSION_DEFAULT}`
  if (!existsSync(`${cache}/pyspark/${version}`)) {
    console.error(`Installing ${version} into .cache/pyspark, about 450 MB.`)
    execFileSync('python3', ['-m', 'venv', `${cache}/pyspark`], { stdio: 'inherit' })
    execFileSync(python, ['-m', 'pip', 'install', '-q', '--no-cache-dir', version], { stdio: 'inherit' })
    execFileSync('touch', [`${cache}/pyspark/${version}`])
  }
  return python
}

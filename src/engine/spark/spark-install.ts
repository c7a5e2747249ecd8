/** Fetches the jars of a Spark version from Maven Central, through Maven, into a directory that serves as SPARK_HOME. */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { MillraceError } from '../../errors.js'

/** The newest Spark this release was tested with; what `millrace doctor --install-spark` installs. */
export const SPARK_VERSION_DEFAULT = '4.2.0'

/** The Spark versions the tests run on, the oldest first: one release of each line. */
export const testedSparkVersions: readonly string[] = ['3.5.6', '4.0.1', '4.1.0', SPARK_VERSION_DEFAULT]

/**
 * Puts the jars of Spark `version` (core and streaming with all they need, about 200 MB) into `<cache>/spark-<version>/jars` and
 * resolves to that home. Does nothing when they are there. Needs Maven (`mvn`) on the PATH; `onStep` hears what is being done.
 *
 * Rejects with `SPARK_NOT_FOUND` when Maven is missing or cannot get the version.
 */
export async function installSpark(version: string, cache: string, onStep: (text: string) => void): Promise<string> {
  if (!/^\d+\.\d+\.\d+[\w.-]*$/.test(version)) {
    throw new MillraceError(
      'ILLEGAL_ARGUMENT',
      `${version} is not a Spark version. Expected one like ${SPARK_VERSION_DEFAULT}.`,
    )
  }
  const home = join(cache, `spark-${version}`)
  if (existsSync(join(home, 'jars'))) {
    onStep(`Spark ${version} is already in ${home}.`)
    return home
  }
  await mkdir(cache, { recursive: true })
  // Into a directory of its own first, so that a broken download is never taken for a Spark.
  const work = await mkdtemp(join(cache, '.install-'))
  try {
    await writeFile(join(work, 'pom.xml'), pom(version))
    onStep(`Fetching Spark ${version} (Scala 2.13) from Maven Central into ${home}; about 200 MB.`)
    await maven([
      '-B',
      '-q',
      '-f',
      join(work, 'pom.xml'),
      'dependency:copy-dependencies',
      '-DincludeScope=runtime',
      '-DoutputDirectory=jars',
    ])
    await rm(join(work, 'pom.xml'))
    await rename(work, home)
  } finally {
    await rm(work, { recursive: true, force: true })
  }
  onStep(`Spark ${version} is in ${home}. Set SPARK_HOME=${home} to use it elsewhere.`)
  return home
}

function maven(args: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn('mvn', args, { stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    child.stdout.on('data', (text) => {
      output += text
    })
    child.stderr.on('data', (text) => {
      output += text
    })
    child.once('error', (cause) =>
      reject(
        new MillraceError(
          'SPARK_NOT_FOUND',
          'Cannot start Maven (mvn), which fetches the jars of Spark. Install it, or set SPARK_HOME to a Spark you have.',
          { cause },
        ),
      ),
    )
    child.once('close', (code) => {
      if (code === 0) resolve()
      else
        reject(
          new MillraceError(
            'SPARK_NOT_FOUND',
            `Maven could not fetch Spark (exit code ${code}):\n${output.slice(-2000)}`,
          ),
        )
    })
  })
}

function pom(version: string): string {
  return `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>io.millrace</groupId><artifactId>spark-jars</artifactId><version>1</version>
  <dependencies>
    <dependency><groupId>org.apache.spark</groupId><artifactId>spark-streaming_2.13</artifactId><version>${version}</version></dependency>
  </dependencies>
</project>
`
}

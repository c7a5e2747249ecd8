/** Which Spark is found on a machine, what is refused, and `millrace doctor --install-spark`. */
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { findSparkHome, sparkVersion } from '../../src/engine/spark/spark-home.js'
import { SPARK_VERSION_DEFAULT } from '../../src/engine/spark/spark-install.js'
import { cli } from '../cli/cli.js'
import { OLDEST, removeDirectories, sparkHome, temporaryDirectory } from './spark-driver.js'

afterAll(removeDirectories)

/** A directory that looks like a Spark with this core jar. */
function sparkWith(jar: string): string {
  const home = temporaryDirectory()
  mkdirSync(join(home, 'jars'))
  writeFileSync(join(home, 'jars', jar), '')
  return home
}

describe('findSparkHome', () => {
  it('takes SPARK_HOME, and says the version by its jars', () => {
    const home = sparkWith('spark-core_2.13-4.0.1.jar')
    expect(findSparkHome({ SPARK_HOME: home })).toBe(home)
    expect(sparkVersion(home)).toBe('4.0.1')
  })

  it.each([
    ['spark-core_2.12-3.5.6.jar', 'a Spark 3.5.6 for Scala 2.12'],
    ['spark-core_2.13-3.4.2.jar', 'a Spark 3.4.2'],
  ])('refuses a Spark the bridge cannot run on: %s', (jar, why) => {
    expect(() => findSparkHome({ SPARK_HOME: sparkWith(jar) })).toThrow(why)
  })

  it('takes the newest of the cache, by number and not by letter', () => {
    const cache = temporaryDirectory()
    for (const version of ['4.9.0', '4.10.0', '3.5.6']) {
      mkdirSync(join(cache, 'millrace', `spark-${version}`), { recursive: true })
    }
    expect(findSparkHome({ XDG_CACHE_HOME: cache })).toBe(join(cache, 'millrace', 'spark-4.10.0'))
  })

  it('says how to get one when there is none', () => {
    expect(() => findSparkHome({ XDG_CACHE_HOME: temporaryDirectory() })).toThrow('millrace doctor --install-spark')
  })
})

describe('millrace doctor', () => {
  it('installs Spark where run finds it, and leaves one alone that is there', async () => {
    const cache = temporaryDirectory()
    mkdirSync(join(cache, 'millrace'))
    symlinkSync(await sparkHome(SPARK_VERSION_DEFAULT), join(cache, 'millrace', `spark-${SPARK_VERSION_DEFAULT}`))
    const env = { XDG_CACHE_HOME: cache, SPARK_HOME: '' }
    const { stdout } = await cli(['doctor', '--install-spark'], { env })
    expect(stdout).toContain(`Spark ${SPARK_VERSION_DEFAULT} is already in`)
    expect(stdout).toMatch(new RegExp(`ok +Spark +${SPARK_VERSION_DEFAULT} in ${cache}`))
  })

  it('says that it cannot install without Maven', async () => {
    const env = { XDG_CACHE_HOME: temporaryDirectory(), SPARK_HOME: '', PATH: '/nowhere' }
    const { status, stderr } = await cli(['doctor', '--install-spark', '--spark-version', OLDEST], { env })
    expect(status).toBe(1)
    expect(stderr).toContain('SPARK_NOT_FOUND: Cannot start Maven (mvn)')
  })
})

/** Finds a Spark on this machine and says which one it is. */
import { existsSync, readdirSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { MillraceError } from '../../errors.js'

/** Where `millrace doctor --install-spark` puts Spark: `$XDG_CACHE_HOME` or `~/.cache`, then `millrace`. */
export function sparkCache(env: NodeJS.ProcessEnv = process.env): string {
  return join(env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'millrace')
}

/**
 * The directory of Spark: `SPARK_HOME`, or the newest one in the cache. Throws `SPARK_NOT_FOUND` when there is neither, or when
 * `SPARK_HOME` holds no Spark of version 3.5 or newer for Scala 2.13, the only one the bridge jar can be loaded by.
 */
export function findSparkHome(env: NodeJS.ProcessEnv = process.env): string {
  const told = env.SPARK_HOME
  if (told !== undefined && told !== '') {
    assertUsable(told)
    return told
  }
  const cache = sparkCache(env)
  const installed = existsSync(cache) ? readdirSync(cache).filter((name) => /^spark-\d/.test(name)) : []
  const newest = installed.sort((a, b) => a.localeCompare(b, 'en', { numeric: true })).at(-1)
  if (newest !== undefined) return join(cache, newest)
  throw new MillraceError(
    'SPARK_NOT_FOUND',
    'There is no Spark here. Set SPARK_HOME to a Spark 3.5 (Scala 2.13) or 4.x, or run `millrace doctor --install-spark`, which fetches its jars from Maven Central.',
  )
}

/** The version of the Spark in `home`, such as `4.2.0`, as its jars say it; null when they do not. */
export function sparkVersion(home: string): string | null {
  return coreJar(home)?.version ?? null
}

function assertUsable(home: string): void {
  const refused = (why: string): MillraceError =>
    new MillraceError(
      'SPARK_NOT_FOUND',
      `SPARK_HOME is ${home}, ${why}. Expected a Spark 3.5 or newer for Scala 2.13; run \`millrace doctor --install-spark\` to have one.`,
      { details: { sparkHome: home } },
    )
  if (!existsSync(join(home, 'jars'))) throw refused('where there is no directory jars')
  const core = coreJar(home)
  // A distribution of somebody's own may name its jars otherwise: then Spark itself says what does not fit.
  if (core === null) return
  if (core.scala !== '2.13') throw refused(`a Spark ${core.version} for Scala ${core.scala}`)
  const [major, minor] = core.version.split('.').map(Number) as [number, number]
  if (major < 3 || (major === 3 && minor < 5)) throw refused(`a Spark ${core.version}`)
}

function coreJar(home: string): { readonly scala: string; readonly version: string } | null {
  const jars = join(home, 'jars')
  if (!existsSync(jars)) return null
  for (const name of readdirSync(jars)) {
    const match = /^spark-core_([\d.]+)-(.+)\.jar$/.exec(name)
    if (match !== null) return { scala: match[1]!, version: match[2]! }
  }
  return null
}

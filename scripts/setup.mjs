/**
 * Puts on the machine what the tests need beyond npm's packages: `node scripts/setup.mjs [step …]`, all steps when none is named.
 * A step is a file of `scripts/setup/`; it says what it does, does nothing when it is done already, and fails with what to do.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const steps = readdirSync(new URL('setup/', import.meta.url))
  .filter((file) => file.endsWith('.mjs'))
  .map((file) => file.slice(0, -4))
  // Java first: others are built with it.
  .sort((a, b) => Number(b === 'java') - Number(a === 'java') || (a < b ? -1 : 1))

/** Runs the steps named; throws an Error whose text is for people when one cannot be done. */
export async function setUp(names = steps) {
  if (!existsSync(`${root}node_modules`)) throw new Error('The npm packages are not there: run npm ci first.')
  for (const name of names) {
    if (!steps.includes(name)) throw new Error(`There is no step ${name}. The steps are ${steps.join(', ')}.`)
    const { default: step } = await import(new URL(`setup/${name}.mjs`, import.meta.url))
    await step({
      root,
      cache: cacheDirectory,
      say: (text) => console.log(`set-up: ${name}: ${text}`),
      run,
      find,
      aptInstall,
    })
  }
}

/** A directory under `.cache/` that survives until someone deletes it; made when it is not there. */
function cacheDirectory(...path) {
  const directory = [root.replace(/\/$/, ''), '.cache', ...path].join('/')
  mkdirSync(directory, { recursive: true })
  return directory
}

/** Runs a program to its end, its output shown; throws when it fails. */
function run(program, args, options = {}) {
  execFileSync(program, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'], ...options })
}

/** The path of a program, or null; looks where system daemons live too, which the PATH of an ordinary user leaves out. */
function find(program) {
  const directories = [...(process.env.PATH ?? '').split(':'), '/usr/local/sbin', '/usr/sbin', '/sbin']
  return directories.map((directory) => `${directory}/${program}`).find((path) => existsSync(path)) ?? null
}

/** Installs packages of Debian's, or throws with the command that would. */
function aptInstall(packages, say) {
  const command = `apt-get install -y --no-install-recommends ${packages.join(' ')}`
  const isRoot = process.getuid?.() === 0
  const maySudo = !isRoot && spawnSync('sudo', ['-n', 'true'], { stdio: 'ignore' }).status === 0
  if (find('apt-get') === null || !(isRoot || maySudo)) {
    throw new Error(
      `${packages.join(' and ')} must be installed, and this user may not. Run: sudo apt-get update && sudo ${command}`,
    )
  }
  const apt = (args) => {
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
    run(isRoot ? 'apt-get' : 'sudo', isRoot ? args : ['-n', 'apt-get', ...args], { env })
  }
  say(`installing ${packages.join(', ')} with apt-get`)
  apt(['update', '-qq'])
  apt([...command.split(' ').slice(1), '-qq'])
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    const names = process.argv.slice(2)
    await setUp(names.length > 0 ? names : steps)
  } catch (error) {
    console.error(`set-up failed: ${error.message}`)
    process.exitCode = 1
  }
}

/** What a receiver's code throws where nobody catches it: in promises nobody awaited, in timers, in events. It is told, and the process lives. */
import { AsyncLocalStorage } from 'node:async_hooks'
import { isMainThread } from 'node:worker_threads'

/** Who hears of it. */
export interface FaultOwner {
  /** A promise nobody awaited was rejected. */
  reportError(message: string, error: unknown): void
  /** A timer or an event threw, such as a socket's error that nobody listened to: what it belonged to is broken. */
  restart(message: string, error: unknown, delayMs: null): void
}

/** The owner of the code that is running, also of what that code left running: timers, sockets, promises. */
const owners = new AsyncLocalStorage<FaultOwner>()
let isWatching = false

/** Runs `code`; what it, or what it leaves running, throws where nobody catches it is told to `owner`. All else stays fatal. */
export function ownsFaults<R>(owner: FaultOwner, code: () => R): R {
  if (!isWatching) watch()
  return owners.run(owner, code)
}

function watch(): void {
  isWatching = true
  process.on('unhandledRejection', (reason) => {
    const owner = owners.getStore()
    if (owner !== undefined) owner.reportError('A promise of the receiver was rejected and nobody awaited it', reason)
    else if (process.listenerCount('unhandledRejection') === 1) throw reason
  })
  process.on('uncaughtException', (error) => {
    const owner = owners.getStore()
    if (owner !== undefined) owner.restart('The receiver threw an error that nobody caught', error, null)
    else if (process.listenerCount('uncaughtException') === 1) endWith(error)
  })
}

/** Ends this thread as it would have ended had nobody listened. */
function endWith(error: unknown): void {
  if (!isMainThread) throw error
  // Thrown again it would end the process with status 7, for a fault of the listener.
  process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : `Uncaught ${String(error)}`}\n`)
  process.exit(1)
}

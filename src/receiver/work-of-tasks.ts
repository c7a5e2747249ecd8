/** Work that decoding a block leaves running, such as a message on its way to another place: a task is done when it is. */

const running = new Set<Promise<unknown>>()

/** The tasks that run in this thread are not done before `work` has settled. Its failure is its owner's to report. */
export function beforeTasksEnd(work: Promise<unknown>): void {
  const settled: Promise<unknown> = work.then(
    () => running.delete(settled),
    () => running.delete(settled),
  )
  running.add(settled)
}

/** Resolves when all work given so far has settled; null when there is none. */
export function workOfTasks(): Promise<unknown> | null {
  return running.size === 0 ? null : Promise.all(running)
}

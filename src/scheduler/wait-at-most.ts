/** Resolves to true when `awaited` does, to false if `ms` milliseconds run out first; rejects as it does. */
export async function waitAtMost(ms: number, awaited: Promise<unknown>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const timedOut = new Promise<false>((resolve) => {
    timer = setTimeout(resolve, ms, false)
  })
  try {
    return await Promise.race([awaited.then(() => true), timedOut])
  } finally {
    clearTimeout(timer)
  }
}

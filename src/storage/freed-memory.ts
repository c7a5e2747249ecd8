/** Lets the process keep memory it frees, where the allocator gives it back by default. */

const KEEP_BYTES = 32 * 1024 * 1024 - 64 * 1024
let isDone = false

/**
 * Blocks of some hundred kilobytes come and go many times a second. By default glibc maps each anew and unmaps it when it is freed, and the kernel
 * clears every page again: 0.25 µs a KiB, more than receiving it costs. glibc learns from the largest mapping it has seen freed: from then on it
 * keeps up to twice as much (64 MB) of freed memory for what is allocated next. So one is shown to it; it is never written to and takes no memory.
 * Elsewhere this does nothing.
 */
export function keepFreedMemory(): void {
  if (isDone) return
  isDone = true
  Buffer.allocUnsafeSlow(KEEP_BYTES)
}

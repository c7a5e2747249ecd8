/** The masters of the embedded engine that operations are tested on: they must mean the same on each. */
export const masters = ['local', 'local[1]', 'local[2]', 'local[4]'] as const

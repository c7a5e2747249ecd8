/** What the driver and the threads that run receivers say to each other: plain data, one union a direction. */
import type { ErrorData } from '../../errors.js'
import type { StoredBytes } from '../../storage/stored-bytes.js'

/** How a receiver is run. */
export interface ReceiverSettings {
  readonly streamId: number
  readonly blockIntervalMs: number
  readonly blockQueueSize: number
  readonly restartDelayMs: number
  readonly ratePerSecond: number | null
}

/** What a receiver received since the last turn of its thread's loop. Waking another thread costs more than a block does, so they go together. */
export interface BlockToStore {
  readonly call: number
  readonly streamId: number
  readonly format: 'records' | 'bytes'
  readonly stored: StoredBytes
  readonly records: number
}

export interface StoreAnswer {
  readonly call: number
  readonly error: ErrorData | null
}

export type ToReceiverThread =
  | { readonly type: 'start'; readonly receiver: ReceiverSettings }
  | { readonly type: 'stop'; readonly streamId: number }
  | { readonly type: 'setRate'; readonly streamId: number; readonly ratePerSecond: number | null }
  /** Answers to `store`, with memory of this thread that nobody reads any more. */
  | {
      readonly type: 'stored'
      readonly answers: readonly StoreAnswer[]
      readonly memory: readonly SharedArrayBuffer[]
    }
  /** The answer to `unconfirmed` and `remembered`. */
  | {
      readonly type: 'earlierBlocks'
      readonly call: number
      readonly blocks: readonly Uint8Array[]
      readonly error: ErrorData | null
    }

export type FromReceiverThread =
  | { readonly type: 'ready'; readonly shape: readonly string[] }
  | { readonly type: 'loadFailed'; readonly error: ErrorData }
  /** Blocks to be kept, in order: each is answered when it is as safe as promised. */
  | { readonly type: 'store'; readonly blocks: readonly BlockToStore[] }
  | { readonly type: 'confirmed'; readonly streamId: number; readonly tail: number }
  | { readonly type: 'unconfirmed'; readonly call: number; readonly streamId: number }
  | { readonly type: 'remembered'; readonly call: number; readonly streamId: number; readonly records: number }
  | { readonly type: 'receiverStarted'; readonly streamId: number }
  /** How the receiver is doing, each second while it runs, and once more at its end. */
  | { readonly type: 'receiverStatus'; readonly streamId: number; readonly status: unknown }
  | { readonly type: 'receiverError'; readonly streamId: number; readonly message: string; readonly error: ErrorData }
  | {
      readonly type: 'receiverStopped'
      readonly streamId: number
      readonly message: string
      readonly error: ErrorData | null
    }
  /** The answer to `stop`: everything the receiver took is stored. */
  | { readonly type: 'receiverEnded'; readonly streamId: number }

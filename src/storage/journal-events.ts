/**
 * The events a checkpoint directory's log is made of: what was received, which batch it belongs to, what is done with it.
 * What is logged is exactly the list of events that change the state, and live and recovered events go through the one
 * `JournalState.apply`. `docs/checkpoint-format.md` describes them.
 */
import { MillraceError } from '../errors.js'
import type { BlockInfo } from '../rdd/lineage.js'
import type { Time } from '../time.js'
import type { KeptContent } from './block-manager.js'
import { deserializeRecords, serializeRecords } from './record-serializer.js'
import type { Retained } from './retained-history.js'

/** By what an input stream is known to be the same as one of an earlier run: the name it was given, or else what it comes from. */
export interface InputIdentity {
  readonly name: string | null
  /** The class of its receiver, or the operation that made it. */
  readonly source: string
}

export type JournalEvent =
  /** A run of the job began on this directory. */
  | {
      readonly type: 'started'
      readonly formatVersion: number
      readonly job: string
      readonly batchMs: number
      readonly zeroTime: Time
      readonly nowMs: Time
      /** The job's input streams, by number. */
      readonly inputs: readonly InputIdentity[]
      /** The file that describes the job, where it is known: `millrace replay` finds it here. */
      readonly file?: string
      /** How many partitions a shuffle makes when nobody says. */
      readonly parallelism?: number
    }
  /** A receiver stored a block; its content is part of the record. */
  | {
      readonly type: 'blockAdded'
      readonly block: BlockInfo
      readonly format: BlockFormat
      /** As the event `acknowledged` says it, when there was news. */
      readonly acknowledged: number | null
      /** The newest blocks of the stream with so many records stay readable, for recognising what comes again; absent for none. */
      readonly remember?: number
    }
  /** All blocks that waited go to the batch of `time`. */
  | { readonly type: 'batchAllocated'; readonly time: Time; readonly blocks: readonly string[] }
  /** Every output of the batch of `time` is done. */
  | { readonly type: 'batchCompleted'; readonly time: Time }
  /** The batch of `time` failed and was left out, as the failure policy says. */
  | { readonly type: 'batchSkipped'; readonly time: Time; readonly error: string }
  /** Batches before `time` are done and not needed any more; `lastAllocated` outlives them. */
  | {
      readonly type: 'batchesForgotten'
      readonly time: Time
      readonly lastAllocated: Time
      /** What of them is kept for `millrace replay`; absent for nothing. */
      readonly retained?: Retained
    }
  /** The source of a stream is known to have its acknowledgements for all blocks up to number `through`. */
  | { readonly type: 'acknowledged'; readonly streamId: number; readonly through: number }
  /** What an input other than a receiver must know to go on, as of the batch of `time`. */
  | {
      readonly type: 'inputTaken'
      readonly operator: string
      readonly time: Time
      readonly memory: unknown
      /** True if what was taken before stays known, for `millrace replay`. */
      readonly keepsEarlier?: boolean
    }
  /** The state of an operator after the batch of `time` is saved; also written when its layers were merged. */
  | {
      readonly type: 'stateSaved'
      readonly operator: string
      /** The operation, such as `mapWithState`: state is read back as that of the same. */
      readonly operation?: string
      readonly time: Time
      readonly partitions: number
      /** True if the partitions are those of a HashPartitioner. */
      readonly isHashed: boolean
      /** The names of the directories it lies in: the whole, then what changed, oldest first. */
      readonly layers: readonly string[]
      /** True if what was saved before is kept as well, for `millrace replay`. */
      readonly keepsEarlier?: boolean
    }

export type BlockAdded = Extract<JournalEvent, { type: 'blockAdded' }>

/** How the bytes of a block are read: as serialized records, or by the stream's receiver. */
export type BlockFormat = KeptContent['type']

export const JOURNAL_FORMAT_VERSION = 3

/** Record types of the log beneath. */
const EVENT_RECORD = 1
const BLOCK_RECORD = 2

/** An event as a log record: its type and its bytes. */
export interface EncodedEvent {
  readonly recordType: number
  readonly chunks: readonly Uint8Array[]
}

/** A block's record: the length of the event's text, the text, the content. */
export function encodeBlock(event: BlockAdded, content: KeptContent): EncodedEvent {
  const text = Buffer.from(JSON.stringify(event))
  const length = Buffer.allocUnsafe(4)
  length.writeUInt32LE(text.length)
  const bytes = content.type === 'bytes' ? content.bytes : serializeRecords(content.records)
  return { recordType: BLOCK_RECORD, chunks: [length, text, bytes] }
}

/** The record of any other event. */
export function encodeEvent(event: Exclude<JournalEvent, { type: 'blockAdded' }>): EncodedEvent {
  return { recordType: EVENT_RECORD, chunks: [Buffer.from(JSON.stringify(event))] }
}

/** The event of a record. Throws `CHECKPOINT_INVALID` for a record that is none. */
export function decodeEvent(recordType: number, payload: Buffer): JournalEvent {
  try {
    if (recordType === EVENT_RECORD) return JSON.parse(payload.toString()) as JournalEvent
    if (recordType === BLOCK_RECORD) {
      return JSON.parse(payload.toString('utf8', 4, 4 + payload.readUInt32LE(0))) as JournalEvent
    }
  } catch (cause) {
    throw new MillraceError('CHECKPOINT_INVALID', 'A record of the log is not an event.', { cause })
  }
  throw new MillraceError('CHECKPOINT_INVALID', `A record of the log has type ${recordType}, which is not known.`)
}

/** The content of a block's record. */
export function decodeBlockContent(payload: Buffer, format: BlockFormat): KeptContent {
  const bytes = payload.subarray(4 + payload.readUInt32LE(0))
  return format === 'bytes' ? { type: 'bytes', bytes } : { type: 'records', records: deserializeRecords(bytes) }
}

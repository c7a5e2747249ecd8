/** MqttCborReceiver: each payload is a CBOR value. */
import { type DecodingOptions, MqttDecodingReceiver } from './mqtt-decoding-receiver.js'
import { optionalPackage } from './optional-package.js'

interface CborPackage {
  decodeFirstSync(bytes: Uint8Array): unknown
}

/**
 * A stream of the CBOR values in the payloads, one a message, by the package `cbor` (an optional peer: the constructor throws `UNSUPPORTED`
 * when it is not installed). A payload that is not one whole CBOR value goes to `onMalformed`.
 *
 * ```ts
 * import { MqttCborReceiver, StreamingContext } from 'millrace'
 * const ssc = new StreamingContext({ appName: 'cbor', batchInterval: '1s' })
 * const readings = ssc.receiverStream(new MqttCborReceiver<{ v: number }>('mqtt://localhost:1883', 'plant/#'))
 * readings.map((reading) => reading.v).print()
 * ```
 */
export class MqttCborReceiver<T = unknown> extends MqttDecodingReceiver<T> {
  readonly #cbor: CborPackage

  constructor(
    brokerUrl: string | readonly string[],
    topics: string | readonly string[],
    options: DecodingOptions = {},
  ) {
    super(brokerUrl, topics, options)
    this.#cbor = optionalPackage<CborPackage>('cbor', 'MqttCborReceiver')
  }

  protected override decode(payload: Buffer): T {
    return this.#cbor.decodeFirstSync(payload) as T
  }
}

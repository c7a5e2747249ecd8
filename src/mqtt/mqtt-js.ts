/** MQTT.js as it is used here: clients over streams of ours, and its WebSockets. */
import { isIPv6 } from 'node:net'
import type { Duplex } from 'node:stream'
import type { IClientOptions, MqttClient } from 'mqtt'
import type { BrokerAddress } from './broker-url.js'
import type { MqttTlsOptions } from './mqtt-options.js'
import type { ResolvedConnection } from './resolved-options.js'
import type { TapStream } from './tap-stream.js'

export interface MqttJs {
  createClient(stream: TapStream, options: IClientOptions): MqttClient
  openWebSocket(address: BrokerAddress, tls: MqttTlsOptions): Duplex
}

/** Keeps MQTT.js from pinging: it would take only its own pings for signs of life, and they may wait behind messages we hold. */
export const noTimer: { set: () => number; clear: () => void } = { set: () => 1, clear: () => {} }

/** MQTT.js is loaded when a connection is first made, not by every worker that only decodes messages. */
export async function loadMqttJs(options: ResolvedConnection, clientId: string): Promise<MqttJs> {
  const { MqttClient } = await import('mqtt')
  const needsWebSocket = options.addresses.some((one) => one.transport === 'ws' || one.transport === 'wss')
  const webSocket = needsWebSocket ? await import('mqtt/lib/connect/ws') : null
  return {
    createClient: (stream, clientOptions) => new MqttClient(() => stream as never, clientOptions),
    openWebSocket: (address, tls) =>
      webSocket!.streamBuilder(
        undefined as never,
        {
          protocol: address.transport as 'ws' | 'wss',
          // MQTT.js puts it into a URL as it is.
          hostname: isIPv6(address.host) ? `[${address.host}]` : address.host,
          port: address.port,
          path: address.path,
          clientId,
          wsOptions: { ...tls, headers: { ...options.wsHeaders } },
        } as IClientOptions,
      ) as unknown as Duplex,
  }
}

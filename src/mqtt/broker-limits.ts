/** What a broker said in its CONNACK that it takes. */
import type { IConnackPacket } from 'mqtt'

/** MQTT's defaults where the broker said nothing. */
export interface BrokerLimits {
  /** Messages of QoS 1 and 2 it takes before it has answered one. */
  readonly receiveMaximum: number
  readonly maximumPacketSize: number
  /** The highest quality of service it takes messages with. */
  readonly maximumQos: 0 | 1 | 2
  readonly isRetainAvailable: boolean
}

export const NO_LIMITS: BrokerLimits = {
  receiveMaximum: 65_535,
  maximumPacketSize: Number.MAX_SAFE_INTEGER,
  maximumQos: 2,
  isRetainAvailable: true,
}

/** The limits in a CONNACK's properties, which MQTT 3.1.1 does not have. */
export function limitsOf(properties: IConnackPacket['properties']): BrokerLimits {
  return {
    receiveMaximum: properties?.receiveMaximum ?? NO_LIMITS.receiveMaximum,
    maximumPacketSize: properties?.maximumPacketSize ?? NO_LIMITS.maximumPacketSize,
    maximumQos: (properties?.maximumQoS ?? NO_LIMITS.maximumQos) as 0 | 1 | 2,
    isRetainAvailable: properties?.retainAvailable ?? NO_LIMITS.isRetainAvailable,
  }
}

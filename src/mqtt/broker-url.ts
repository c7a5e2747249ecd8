/** Broker URLs: which schemes there are, and how an address is taken apart without ever printing a password. */
import { kindOf } from '../arguments.js'
import { MillraceError } from '../errors.js'

/** A broker address taken apart. `text` is the URL without user, password and query, safe to print: what signs a WebSocket's address is a secret. */
export interface BrokerAddress {
  readonly transport: 'tcp' | 'tls' | 'ws' | 'wss'
  readonly host: string
  readonly port: number
  /** Of a WebSocket, with its query. */
  readonly path: string
  readonly text: string
}

const schemes: Readonly<Record<string, BrokerAddress['transport']>> = {
  'mqtt:': 'tcp',
  'tcp:': 'tcp',
  'mqtts:': 'tls',
  'ssl:': 'tls',
  'tls:': 'tls',
  'ws:': 'ws',
  'wss:': 'wss',
}
const defaultPorts: Readonly<Record<BrokerAddress['transport'], number>> = { tcp: 1883, tls: 8883, ws: 80, wss: 443 }

/** A broker URL and what it says about the user. */
export interface BrokerUrl {
  readonly address: BrokerAddress
  readonly clientId: string | null
  readonly username: string | null
  readonly password: string | null
}

/**
 * Takes a broker URL apart: `mqtt://user:password@host:1883?clientId=gpio`. Schemes: mqtt and tcp, mqtts, ssl and tls, ws, wss. What else
 * the query of ws and wss says goes to the server as it is.
 * Throws `MQTT_INVALID_URL`; the text of the error never holds user, password or what a parameter says.
 */
export function parseBrokerUrl(text: unknown): BrokerUrl {
  const refuse = (why: string): never => {
    const shown = typeof text === 'string' ? JSON.stringify(withoutSecrets(text)) : kindOf(text)
    throw new MillraceError(
      'MQTT_INVALID_URL',
      `${shown} is not a broker URL: ${why}. Expected something like mqtt://host:1883, mqtts://host:8883, ws://host:80/path or wss://host/path.`,
    )
  }
  if (typeof text !== 'string') return refuse('it is not a text')
  let url: URL
  try {
    url = new URL(text)
  } catch {
    return refuse('it cannot be read as a URL')
  }
  const transport = schemes[url.protocol]
  if (transport === undefined) {
    // In user:password@host the user looks like a scheme.
    if (!text.includes('//')) return refuse('it has no scheme')
    return refuse(`the scheme ${url.protocol.slice(0, -1)} is not one of MQTT's`)
  }
  if (url.hostname === '') return refuse('it has no host')
  if (url.port === '0') return refuse('port 0 cannot be connected to')
  const web = transport === 'ws' || transport === 'wss'
  if (!web && url.pathname !== '' && url.pathname !== '/') return refuse('it has a path, and only ws and wss URLs may')
  let clientId: string | null = null
  for (const [key, value] of url.searchParams) {
    if (isOurs(key)) clientId = value
    else if (!web) return refuse(`the parameter ${key} is unknown; only clientId is`)
  }
  const port = url.port === '' ? defaultPorts[transport] : Number(url.port)
  return {
    address: {
      transport,
      host: url.hostname.replace(/^\[|\]$/g, ''),
      port,
      path: web ? `${url.pathname || '/'}${queryForServer(url.search)}` : '',
      text: `${url.protocol}//${url.hostname}:${port}${web ? url.pathname : ''}`,
    },
    clientId,
    username: url.username === '' ? null : decode(url.username, refuse),
    password: url.password === '' ? null : decode(url.password, refuse),
  }
}

/** The query without what is ours, character by character: it may be signed. */
function queryForServer(search: string): string {
  const parameters = search.slice(1).split('&')
  const others = parameters.filter((parameter) => parameter !== '' && !isOurs(parameter.split('=', 1)[0]!))
  return others.length === 0 ? '' : `?${others.join('&')}`
}

function isOurs(parameter: string): boolean {
  return parameter === 'clientId' || parameter === 'client_id'
}

/** The text with all that may belong to user and password left out, whatever is wrong with it: a password may hold / and ? and @. */
function withoutSecrets(text: string): string {
  const at = text.lastIndexOf('@')
  const scheme = /^\s*[a-z][a-z0-9+.-]*:\/\//i.exec(text)?.[0] ?? ''
  const shown = at < 0 ? text : `${scheme}***@${text.slice(at + 1)}`
  return shown.replace(/\?.*$/s, '')
}

function decode(text: string, refuse: (why: string) => never): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return refuse('its user or password has a % that is not followed by two hexadecimal digits')
  }
}

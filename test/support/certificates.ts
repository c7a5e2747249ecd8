/** Certificates made for one test: an authority, a server's for localhost, a client's. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export class Certificates {
  readonly #directory: string = mkdtempSync(join(tmpdir(), 'millrace-certificates-'))

  constructor() {
    const openssl = (...args: string[]): void =>
      void execFileSync('openssl', args, { stdio: 'pipe', cwd: this.#directory })
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
    openssl('req', '-x509', ...key, '-keyout', 'ca.key', '-out', 'ca.pem', '-days', '2', '-subj', '/CN=Test authority')
    for (const [name, subject, names] of [
      ['server', '/CN=localhost', 'DNS:localhost,IP:127.0.0.1'],
      ['client', '/CN=receiver', 'DNS:receiver'],
    ] as const) {
      const request = ['-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', subject]
      openssl('req', ...key, ...request, '-addext', `subjectAltName=${names}`)
      const signed = ['-in', `${name}.csr`, '-out', `${name}.pem`, '-days', '2', '-copy_extensions', 'copy']
      openssl('x509', '-req', '-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', ...signed)
    }
  }

  /** The content of `ca.pem`, `server.pem`, `server.key`, `client.pem` or `client.key`. */
  pem(name: string): Buffer {
    return readFileSync(join(this.#directory, name))
  }

  /** The lines of mosquitto.conf that give a listener the server's certificate. */
  get mosquitto(): readonly string[] {
    const path = (name: string): string => join(this.#directory, name)
    return [`cafile ${path('ca.pem')}`, `certfile ${path('server.pem')}`, `keyfile ${path('server.key')}`]
  }

  remove(): void {
    rmSync(this.#directory, { recursive: true })
  }
}

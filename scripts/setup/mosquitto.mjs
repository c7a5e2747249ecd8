/** Mosquitto, the broker the MQTT tests talk to, and its command line clients. */
export default function mosquitto({ say, find, aptInstall }) {
  const missing = Object.entries({ mosquitto: 'mosquitto', mosquitto_pub: 'mosquitto-clients' })
    .filter(([program]) => find(program) === null)
    .map(([, name]) => name)
  if (missing.length > 0) aptInstall(missing, say)
  const path = find('mosquitto')
  if (path === null || find('mosquitto_pub') === null)
    throw new Error('Mosquitto was installed but is not to be found.')
  say(`ready (${path})`)
}

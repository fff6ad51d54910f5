import { once } from 'node:events'
import type { SecureVersion } from 'node:tls'
import { connect } from 'node:tls'
import t from 'tap'
import { send, sendHttp2 } from './fixtures/client.ts'
import { startIngress } from './fixtures/ingress.ts'

t.test(
  'both ports of nginx accept TLS 1.2 and 1.3 with HTTP/2 and 1.1, and refuse older versions',
  async (t) => {
    const ingress = await startIngress(t)
    const shake = async (version: SecureVersion, protocol: string, port = ingress.httpsPort) => {
      const versions = { minVersion: version, maxVersion: version, ciphers: 'DEFAULT@SECLEVEL=0' }
      const options = {
        port,
        host: '127.0.0.1',
        servername: 'localhost',
        ca: ingress.ca,
        ALPNProtocols: [protocol],
      }
      const socket = connect({ ...options, ...versions })
      await once(socket, 'secureConnect')
      const { alpnProtocol } = socket
      const agreed = [socket.getProtocol(), alpnProtocol]
      socket.destroy()
      return agreed
    }
    for (const port of [ingress.httpsPort, ingress.registryPort]) {
      for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
        for (const protocol of ['h2', 'http/1.1']) {
          t.strictSame(await shake(version, protocol, port), [version, protocol])
        }
      }
      for (const version of ['TLSv1', 'TLSv1.1'] as const) {
        await t.rejects(shake(version, 'http/1.1', port), { code: /ALERT_PROTOCOL_VERSION/ }, version)
      }
    }
  },
)

t.test('both ports of nginx serve the same routes', async (t) => {
  const ingress = await startIngress(t)
  const registry = { ...ingress, httpsPort: ingress.registryPort }
  for (const path of ['/v2/', '/user', '/image-manager']) {
    const { service } = (await send(ingress, { path })).json as { service: string }
    t.match((await send(registry, { path })).json, { service })
    t.match((await sendHttp2(registry, { path })).json, { service })
    t.match((await send(ingress, { path, plain: true })).json, { service })
  }
})

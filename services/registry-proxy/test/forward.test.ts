import { Readable } from 'node:stream'
import { createMetrics, createServer } from '@registry-manager/http'
import { ServiceCallError } from '@registry-manager/http'
import t from 'tap'
import { finishResponse } from '../src/forward.ts'
import { requests } from './fixtures/requests.ts'

/** Sends a 404 of the registry to the client while the index fails with this error. */
async function finishWith(error: Error) {
  const log: string[] = []
  const logStream = { write: (line: string) => void log.push(line) }
  const metrics = createMetrics('test')
  const app = createServer({ name: 'test', logLevel: 'info', metrics, logStream })
  t.teardown(() => app.close())
  const fail = async () => {
    throw error
  }
  const index = { findManifest: fail, aliasBlob: fail }
  app.get('/', (request, reply) => {
    reply.header('etag', '"of the registry"')
    const response = { statusCode: 404, headers: {}, stream: Readable.from([]) }
    void finishResponse(index, requests.manifest(), request, reply, response)
  })
  return { response: await app.inject('/'), log: log.join('') }
}

t.test('a failed call to image-manager is 503 with the request id', async (t) => {
  const { response } = await finishWith(new ServiceCallError('no response', { dependency: 'image-manager' }))
  t.equal(response.statusCode, 503)
  t.match(response.headers, { 'retry-after': '5', 'docker-distribution-api-version': 'registry/2.0' })
  t.equal(response.headers['etag'], undefined)
  const message = /^image-manager is unavailable \(request [0-9a-f-]{36}\)$/
  t.match(response.json(), { errors: [{ code: 'UNAVAILABLE', message }] })
})

t.test('a bug is 500 with the request id and without the text of the error', async (t) => {
  const { response, log } = await finishWith(new TypeError('a text for the log alone'))
  t.equal(response.statusCode, 500)
  t.equal(response.headers['retry-after'], undefined)
  t.match(response.json(), { errors: [{ code: 'UNKNOWN' }] })
  const message: string = response.json().errors[0].message
  const id = /^internal error \(request ([0-9a-f-]{36})\); details are in the service log$/.exec(message)?.[1]
  t.match(log, `"reqId":"${id}"`, 'the log has the same request id')
  t.match(log, 'a text for the log alone')
})

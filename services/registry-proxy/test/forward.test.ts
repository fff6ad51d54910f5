import { Readable } from 'node:stream'
import { createMetrics, createServer } from '@registry-manager/http'
import { ServiceCallError } from '@registry-manager/http'
import t from 'tap'
import { finishResponse } from '../src/forward.ts'
import { requests } from './fixtures/requests.ts'

/** An answer 404 of the registry, finished with an index that fails so. */
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
    const answer = { statusCode: 404, headers: {}, stream: Readable.from([]) }
    void finishResponse(index, requests.manifest(), request, reply, answer)
  })
  return { answer: await app.inject('/'), log: log.join('') }
}

t.test('a failed call to image-manager is 503, with the request id', async (t) => {
  const { answer } = await finishWith(new ServiceCallError('no answer', { dependency: 'image-manager' }))
  t.equal(answer.statusCode, 503)
  t.match(answer.headers, { 'retry-after': '5', 'docker-distribution-api-version': 'registry/2.0' })
  t.equal(answer.headers['etag'], undefined)
  const message = /^image-manager is unavailable \(request [0-9a-f-]{36}\)$/
  t.match(answer.json(), { errors: [{ code: 'UNAVAILABLE', message }] })
})

t.test('a bug is 500, with the request id and without its text', async (t) => {
  const { answer, log } = await finishWith(new TypeError('the inside of the machine'))
  t.equal(answer.statusCode, 500)
  t.equal(answer.headers['retry-after'], undefined)
  t.match(answer.json(), { errors: [{ code: 'UNKNOWN' }] })
  const message: string = answer.json().errors[0].message
  const id = /^internal error \(request ([0-9a-f-]{36})\); details are in the service log$/.exec(message)?.[1]
  t.match(log, `"reqId":"${id}"`, 'the log has it under this id')
  t.match(log, 'the inside of the machine')
})

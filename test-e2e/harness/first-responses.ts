import { readFileSync } from 'node:fs'
import { request as requestPlain } from 'node:http'
import type { RequestOptions } from 'node:http'
import { request as requestTls } from 'node:https'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/**
 * The time in which a port must respond, from the beginning of a start. It is longer than the limit of a start, so that
 * the error of a hanging start comes first: that error has the output.
 */
export const DEADLINE_MS = 300_000
/** Pauses between two attempts in milliseconds: before the port listens, and after a status that asks to retry. */
export const CONNECT_MS = 5
const RETRY_MS = 20
/** Responses of nginx and the services while a dependency does not serve. nginx also limits requests. */
const NOT_YET = new Set([429, 502, 503, 504])

/** A request and its only right status, except for statuses that ask to retry. */
export interface Question {
  readonly port: number
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly expected: 200 | 401
  /** Path of the certificate authority of a port with TLS. */
  readonly authority?: string | undefined
}

/**
 * Sends each request from before its port listens until there is a final response. Returns one line for each wrong
 * response.
 */
export async function findWrongResponses(questions: readonly Question[]): Promise<string[]> {
  const deadline = Date.now() + DEADLINE_MS
  const listening = new Map<number, Promise<void>>()
  const ask = async (question: Question) => {
    const { port, expected } = question
    const listens = listening.get(port) ?? untilListening(port, deadline)
    listening.set(port, listens)
    await listens
    const { status, text } = await finalResponse(question, deadline)
    return status === expected
      ? []
      : [`${describe(question)}: ${status} instead of ${expected}: ${text.slice(0, 300)}`]
  }
  return (await Promise.all(questions.map(ask))).flat()
}

interface Received {
  readonly status: number | undefined
  readonly text: string
}

function describe({ port, path, headers }: Question): string {
  return `port ${port}, GET ${path} with ${headers?.['authorization']?.split(' ', 1)[0] ?? 'no'} credentials`
}

async function untilListening(port: number, deadline: number): Promise<void> {
  const listens = () =>
    new Promise<boolean>((resolve) => {
      const socket = connect({ host: '127.0.0.1', port })
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
      socket.once('connect', () => socket.destroy())
    })
  while (!(await listens())) {
    if (Date.now() > deadline) throw new Error(`nothing listens on port ${port}`)
    await sleep(CONNECT_MS)
  }
}

/** Returns the first response that does not ask to retry. */
async function finalResponse(question: Question, deadline: number): Promise<Received> {
  for (;;) {
    const received = await send(question)
    const { status } = received
    if (status !== undefined && !NOT_YET.has(status)) return received
    if (Date.now() > deadline) throw new Error(`${describe(question)}: ${status} only`)
    await sleep(RETRY_MS)
  }
}

/** Sends a request once on a new connection. The status is undefined if there is no response. */
function send({ port, path, headers, authority }: Question): Promise<Received> {
  return new Promise((resolve) => {
    const fail = (error: Error) => resolve({ status: undefined, text: error.message })
    const options: RequestOptions = { host: '127.0.0.1', port, path, headers, agent: false, timeout: 30_000 }
    const sent =
      authority === undefined
        ? requestPlain(options)
        : requestTls({ ...options, servername: 'localhost', ca: readFileSync(authority) })
    sent.on('error', fail).on('timeout', () => sent.destroy(new Error('no response')))
    sent.on('response', (response) => {
      let text = ''
      response.on('data', (chunk: Buffer) => (text += chunk.toString()))
      response.on('error', fail).on('end', () => resolve({ status: response.statusCode, text }))
    })
    sent.end()
  })
}

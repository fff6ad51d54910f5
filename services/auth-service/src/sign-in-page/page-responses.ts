import type { ProblemFormat, UnavailableDependency } from '@registry-manager/http'
import { forbidCaching, parseForms, setErrorFormat } from '@registry-manager/http'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { STATUS_CODES } from 'node:http'
import { messagePage } from './pages.ts'

/**
 * No scripts, nothing from another host, no frames, and forms only to us. With the referrer policy `no-referrer`
 * browsers would send `Origin: null` with our own forms, which are then refused as foreign.
 * Source: Content Security Policy Level 3; Fetch §3.1, "serializing a request origin".
 */
const HEADERS = {
  'content-security-policy':
    "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
  'referrer-policy': 'same-origin',
  'x-content-type-options': 'nosniff',
  'cross-origin-opener-policy': 'same-origin',
}

export function sendPage(reply: FastifyReply, status: number, page: string): FastifyReply {
  return reply.code(status).headers(HEADERS).type('text/html; charset=utf-8').send(page)
}

const problemPage: ProblemFormat = (reply, { status, detail }) => {
  return sendPage(reply, status, messagePage(STATUS_CODES[status] ?? 'Error', sentenceOf(detail)))
}

/** The detail of a problem as a sentence of a page. */
export function sentenceOf(detail: string): string {
  return `${detail.charAt(0).toUpperCase()}${detail.slice(1)}.`
}

/** Prepares a plugin tree whose responses are pages: forms are parsed, errors are pages, and caches store nothing. */
export function servePages(app: FastifyInstance, unavailableDependency: UnavailableDependency): void {
  setErrorFormat(app, problemPage, unavailableDependency)
  forbidCaching(app)
  parseForms(app)
}

/** The fields of a form; of a repeated field the first. Without a form there are none. */
export function formFieldsOf({ body }: FastifyRequest): Readonly<Record<string, string | undefined>> {
  if (!(body instanceof URLSearchParams)) return {}
  return Object.fromEntries([...body].toReversed())
}

/** A field of the query; undefined if it is repeated. */
export function queryFieldOf({ query }: FastifyRequest, name: string): string | undefined {
  const value = (query as Record<string, unknown>)[name]
  return typeof value === 'string' ? value : undefined
}

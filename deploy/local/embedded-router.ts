import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { createServer } from 'node:http'
import { HTTP_LIMITS, IDLE_MS, respondToClientError } from '@registry-manager/http'
import type { FastifyInstance } from 'fastify'

/** The part of a Fastify app that the router needs. */
export type RoutedService = Pick<FastifyInstance, 'routing'>

export interface RoutedServices {
  readonly authService: RoutedService
  readonly imageManager: RoutedService
  readonly registryProxy: RoutedService
}

const IMAGES_OF_NAMESPACE =
  /^\/namespaces\/[^/]+\/(?:immutability|quota|usage|retention(?:\/(?:dry-run|runs))?|trash(?:\/[^/]+(?:\/restore)?)?)\/?$/
const IMAGE_MANAGER = /^\/(?:(?:image-manager|docs\/images|storage)(?:\/.*)?)?$/
const REGISTRY_DOCS = /^\/docs\/registry(?:\/|$)/
const TOKEN_ENDPOINT = /^\/image-manager\/api\/v1\/auth\/token\/?$/

/**
 * Creates the public listener of the embedded mode. Like nginx in the other modes it routes by path. It passes the
 * request on unchanged, so that each service sees the client's connection.
 */
export function createEmbeddedRouter({ authService, imageManager, registryProxy }: RoutedServices): Server {
  const isRegistry = (url: string) => /^\/v2(?:[/?]|$)/.test(url)
  const route = (request: IncomingMessage, response: ServerResponse) => {
    const url = request.url ?? '/'
    if (isRegistry(url)) return registryProxy.routing(request, response)
    const [path = ''] = url.split('?', 1)
    if (IMAGE_MANAGER.test(path) && !TOKEN_ENDPOINT.test(path)) return imageManager.routing(request, response)
    if (IMAGES_OF_NAMESPACE.test(path)) return imageManager.routing(request, response)
    if (REGISTRY_DOCS.test(path)) return registryProxy.routing(request, response)
    return authService.routing(request, response)
  }
  const server = createServer(HTTP_LIMITS, route)
  server.setTimeout(IDLE_MS)
  server.on('clientError', respondToClientError)
  server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
    // registry-proxy sends 100 Continue itself, after it has authorized the request.
    if (!isRegistry(request.url ?? '')) response.writeContinue()
    route(request, response)
  })
  return server
}

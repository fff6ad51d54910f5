import type { FastifyRequest } from 'fastify'

/**
 * A parameter of the route's path, for hooks: they run before the validation that gives `request.params` its type.
 * Throws if the route has no such parameter.
 */
export function pathParameter({ params }: Pick<FastifyRequest, 'params'>, name: string): string {
  const value: unknown = Object(params)[name]
  if (typeof value !== 'string') throw new TypeError(`the route has no parameter ${name}`)
  return value
}

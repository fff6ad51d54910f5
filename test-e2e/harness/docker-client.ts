import { join } from 'node:path'
import type { DockerEngine } from './docker-engine.ts'
import { createDockerConfig } from './docker-engine.ts'
import type { Image } from './images.ts'
import { createImage } from './images.ts'
import type { CommandOutput } from './run-command.ts'
import { runCommand } from './run-command.ts'
import type { Credentials, Reachable } from './system.ts'

/** The docker CLI with its own logins. Images are named without their host. */
export interface DockerClient {
  login(credentials: Credentials): Promise<CommandOutput>
  push(image: string): Promise<CommandOutput>
  /** Empties the engine's store and pulls an image. Returns the image's id. */
  pull(image: string): Promise<string>
}

/** The logins are stored below `folder`, in a folder with this name. */
export async function createDockerClient(
  engine: DockerEngine,
  { host }: Reachable,
  folder: string,
  name: string,
): Promise<DockerClient> {
  const env = { DOCKER_CONFIG: await createDockerConfig(join(folder, name)) }
  const docker = (...args: string[]) => engine.docker(args, { env })
  return {
    login: ({ username, password }) =>
      engine.docker(['login', '--username', username, '--password-stdin', host], { env, input: password }),
    push: (image) => docker('push', `${host}/${image}`),
    async pull(image) {
      await docker('image', 'prune', '--all', '--force')
      const { stdout } = await docker('images', '--all', '--quiet')
      if (stdout !== '') throw new Error(`the store is not empty: ${stdout}`)
      await docker('pull', `${host}/${image}`)
      const [pulled] = JSON.parse((await docker('inspect', `${host}/${image}`)).stdout)
      return pulled.Id
    },
  }
}

/** Makes an image and loads it into an engine with a name that can be pushed. */
export async function loadImage(
  engine: DockerEngine,
  { host }: Reachable,
  folder: string,
  image: string,
): Promise<Image> {
  const layout = join(folder, image.replaceAll(/\W/g, '-'))
  const made = await createImage(layout, { seed: image, layers: 2, layerBytes: 1 << 20 })
  await runCommand('tar', ['-cf', `${layout}.tar`, '-C', layout, '.'])
  await engine.docker(['load', '--input', `${layout}.tar`])
  await engine.docker(['tag', 'made-here:latest', `${host}/${image}`])
  return made
}

export interface BannerInput {
  readonly publicUrl: string
  readonly username: string
  /** A generated password that was not shown yet. */
  readonly password: string | undefined
  readonly dataDir: string
  /** Base URL of health and metrics, on loopback. */
  readonly internalUrl: string
  /** The names of the services, or of their processes, whose health and metrics are below `internalUrl`. */
  readonly names: readonly string[]
  /** Folder of the logs. */
  readonly logs: string
  /** Certificate file of our authority, which clients must trust; only for a certificate that we issued. */
  readonly authority?: string
}

/** Returns the text that a launcher prints once everything serves. */
export function banner(input: BannerInput): string {
  const { publicUrl, username, password, dataDir, internalUrl, names, logs, authority } = input
  const { host } = new URL(publicUrl)
  const trust = authority === undefined ? '' : `--cacert ${authority} `
  const lines = [
    '',
    `registry-manager serves at ${publicUrl}`,
    ...(password === undefined
      ? []
      : ['', `  administrator  ${username}`, `  password       ${password}   (shown this once)`]),
    '',
    ...(authority === undefined
      ? []
      : [`Its certificate is signed by ${authority}, which clients must trust.`, '']),
    'Try it:',
    `  docker login ${host} -u ${username}`,
    `  docker tag alpine ${host}/team/alpine`,
    `  docker push ${host}/team/alpine`,
    `  curl ${trust}-u ${username} -d username=jane -d password=CHANGE-ME-NOW -d namespaces=team ${publicUrl}/user`,
    '',
    'Health and metrics (on this machine only):',
    `  health   ${internalUrl}/NAME/readyz`,
    `  metrics  ${internalUrl}/NAME/metrics`,
    `           where NAME is ${names.join(', ')}`,
    `  logs     ${logs}`,
    '',
    `All data is in ${dataDir}. Ctrl-C stops registry-manager.`,
    '',
  ]
  return lines.join('\n')
}

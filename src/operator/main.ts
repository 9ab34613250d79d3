import { join } from 'node:path'
import { signedNonces } from '../acme/server/nonces.ts'
import type { AccountKeyRow, AccountRow, OrderRow, ReplacementRow } from '../acme/server/rows.ts'
import { createAcmeServer } from '../acme/server/server.ts'
import type { Clock } from '../core/clock.ts'
import type { DaemonContext } from '../core/daemon-verbs.ts'
import { explain, type Log } from '../core/log.ts'
import type { Table } from '../core/table.ts'
import { type HttpServer, serveHttp } from '../net/http.ts'
import { serveOperations } from '../net/operations.ts'
import { lockDirectory, writeFileAtomic } from '../store/file.ts'
import { openStore, type Store } from '../store/postgres.ts'
import { secretIn } from '../store/secrets.ts'
import { socketFace } from './admin/operations.ts'
import { serveAdmin } from './admin/serve.ts'
import { apiCertificate } from './api-certificate.ts'
import { acmeRecord } from './audit/acme-record.ts'
import type { Audit } from './audit/audit.ts'
import { keepTrimmed } from './audit/retention.ts'
import type { Authority } from './authority/authority.ts'
import { openAuthorities } from './authority/open.ts'
import { type AuthorityPool, authorityPool } from './authority/pool.ts'
import { type HealthRow, sharedHealth } from './authority/shared-health.ts'
import type { OperatorConfig } from './config.ts'
import type { ChallengeRow } from './dns/challenge-records.ts'
import { openChallenges } from './dns/challenges.ts'
import { type OwnServer, openOwnServer } from './dns/own-server.ts'
import { keeping } from './keeping.ts'
import { openManagement } from './management.ts'
import { usedNoncesIn } from './nonce-store.ts'
import { type IssuedRow, issuedCertificates } from './publication/issued.ts'
import { revokeLater } from './publication/revocation.ts'
import type { IssuanceRow, PublicationRow } from './publication/rows.ts'
import { createPublisher } from './publisher.ts'
import { reload } from './reload.ts'
import { servedBy } from './roles.ts'
import type { BudgetRow } from './schedule/budget.ts'
import { sharedBudgets } from './schedule/shared-budgets.ts'
import { measuredAuthority, measuredJobs, measuredNonces, measuredOrders, measuredRequests } from './watch/measured.ts'
import { createWatching } from './watch/watching.ts'
import { createWorker } from './worker.ts'

/** A nonce is used within seconds. */
const NONCE_LIFETIME_MS = 3_600_000

interface Context {
  readonly clock: Clock
  readonly log: Log
}

/** The delegation service, from settings to the moment the signal says stop. Throws a Fault when it cannot start. */
export async function runOperator(config: OperatorConfig, context: DaemonContext<OperatorConfig>): Promise<void> {
  const { clock, log, signal } = context
  const lock = await lockDirectory(config.state)
  const started: (() => Promise<void>)[] = [() => lock.release()]
  try {
    const store = await openStore(config.store, config.storeKey ? { key: config.storeKey } : {})
    started.push(() => store.close())
    const keep = keeping(store, config.state)
    const watching = createWatching(config, context)
    const { metrics } = watching
    const orders = measuredOrders(store.table<OrderRow>('order'), metrics)
    const management = openManagement(config, store, clock, {
      cancelPublication: (orderId, reason) => publisher.cancel(orderId, reason, signal),
      watchOf: watching.over,
      accountUrl: (authority) => opened.accounts.get(authority)?.url(signal) ?? Promise.resolve(undefined),
    })
    const { registry, audit, operations } = management

    const own = await openDnsServerOf(config, store.table<ChallengeRow>('challenge'), context)
    if (own) started.push(() => own.close())
    const dns = openChallenges(config.zone, { clock, log, own })
    const opened = await openAuthorities(config.authorities, { dns, keep, clock, log })
    const authorities = opened.issuing.map((authority) => measuredAuthority(authority, watching, clock))
    const jobs = measuredJobs(store.jobs(), metrics)
    watching.jobs(jobs)
    const accounts = store.table<AccountRow>('account')
    const pool = watching.pool(poolOf(config, authorities, store, audit, context))
    const publications = store.table<PublicationRow>('publication')
    const issued = issuedCertificates({
      table: store.table<IssuedRow>('issued'),
      publications,
      replacements: store.table<ReplacementRow>('replacement'),
      revoke: revokeLater({ publications, jobs, clock }),
      audit,
    })
    const publisher = createPublisher({
      accounts,
      orders,
      publications,
      issued,
      issuances: store.table<IssuanceRow>('issuance'),
      jobs,
      pool,
      audit,
      forwardTo: () => opened.forwarding,
      singleLifetimeS: config.delegation.lifetimeMs / 1000,
      spread: config.renewal.spread,
      clock,
      log,
    })
    const worker = createWorker({ jobs, publisher, clock, log })

    const acme = createAcmeServer({
      baseUrl: config.baseUrl,
      clock,
      nonces: measuredNonces(
        signedNonces({
          clock,
          secret: await secretIn(keep, 'nonces'),
          used: usedNoncesIn(store.table<object>('used-nonce')),
          lifetimeMs: NONCE_LIFETIME_MS,
          ...(config.testing.rejectNonces > 0
            ? { rejection: { share: config.testing.rejectNonces, random: Math.random } }
            : {}),
        }),
        metrics,
      ),
      accounts,
      accountKeys: store.table<AccountKeyRow>('account-key'),
      orders,
      externalAccounts: registry.externalAccounts,
      delegations: registry.delegations,
      ...(config.delegation.plainOrders ? { preauthorized: registry.checkOwnNames } : {}),
      limits: config.limits,
      autoRenewal: {
        minLifetimeS: config.delegation.minLifetimeMs / 1000,
        maxDurationS: config.delegation.maxDurationMs / 1000,
      },
      async onProcessing(orderId) {
        await publisher.enqueue(orderId)
        worker.nudge()
      },
      certificates: publisher.certificates,
      issued,
      onDecision: acmeRecord({ audit, clock }),
      onCanceled: (orderId) => publisher.cancel(orderId, 'cessationOfOperation', signal).then(() => undefined),
      retryAfterS: 1,
      log,
    })

    const certificate = await apiCertificate(config, keep, clock)
    await writeRoots(config.state, [certificate.rootPem, ...authorities.map(({ rootPem }) => rootPem)])
    const handler = servedBy(config.roles, (request) => acme.handle(request), config.baseUrl)
    let api: HttpServer | undefined
    if (handler) {
      api = await serveHttp({
        ...config.listen.api,
        tls: certificate.tls,
        handler: measuredRequests(handler, metrics, clock),
      })
      started.push(api.close)
      log.info({ address: api.address, port: api.port, directory: `${config.baseUrl}/directory` }, 'listening')
    }

    const face = socketFace(operations)
    const admin = await serveOperations(join(config.state, 'admin.sock'), () => face)
    started.push(() => admin.close())
    const adminApi = await serveAdmin(config, { management, watching, tls: certificate.tls, clock, log })
    if (adminApi) started.push(() => adminApi.close())
    const servers = [api, adminApi].filter((server) => server !== undefined)
    context.onReload((load) => void reload(load, { servers, audit, log }))

    void watching.run(signal)
    if (config.roles.includes('worker')) {
      void keepTrimmed(audit, config.audit.retentionMs, { clock, log, signal })
      await publisher.resume()
      await worker.run(signal)
    } else await stopped(signal)
  } finally {
    for (const stop of started.toReversed())
      await stop().catch((error: unknown) => log.error(explain(error), 'a part did not stop cleanly'))
  }
}

function stopped(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}

/** The authorities in order of preference, within their budgets. */
function poolOf(
  { authorities: configs, renewal }: OperatorConfig,
  authorities: readonly Authority[],
  store: Store,
  audit: Audit,
  { clock, log }: Context,
): AuthorityPool {
  return authorityPool({
    // Probes of one that is out, and its slow return, are no decisions: only that it is passed over, and is not any more.
    onFailOver({ authority, from, to, reason = 'issues again' }) {
      if (from !== 'closed' && to !== 'closed') return
      audit
        .record({ event: 'authority-switched', by: 'service', authority, reason: `${from} to ${to}: ${reason}` })
        .catch((error: unknown) => log.warn(explain(error), 'a fail-over could not be put on record'))
    },
    members: authorities.map((authority, index) => ({
      authority,
      kind: configs[index]!.kind,
      ...(configs[index]!.budget.replacesExempt ? { replacesExempt: true } : {}),
    })),
    budgets: sharedBudgets({
      table: store.table<BudgetRow>('budget'),
      limits: new Map(configs.map(({ name, budget }) => [name, budget])),
      urgentShare: renewal.urgentShare,
      clock,
    }),
    health: sharedHealth({
      table: store.table<HealthRow>('authority-health'),
      authorities: configs.map(({ name }) => name),
      clock,
      log,
    }),
    renewalsPerMinuteMax: renewal.ordersPerMinute,
    clock,
    log,
  })
}

/** `root.pem`: what routers need as `trust` where roots of our own are in use. Not secret. */
async function writeRoots(state: string, roots: readonly (string | undefined)[]): Promise<void> {
  const own = new Set(roots.filter((pem) => pem !== undefined))
  if (own.size > 0) await writeFileAtomic(join(state, 'root.pem'), [...own].join(''), { mode: 0o644 })
}

function openDnsServerOf(
  { zone }: OperatorConfig,
  table: Table<ChallengeRow>,
  { clock, log }: Context,
): Promise<OwnServer> | undefined {
  return (
    zone.dnsServer && openOwnServer({ ...zone.dnsServer, zone: zone.challengeZone ?? zone.name, table, clock, log })
  )
}

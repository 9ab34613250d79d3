import { explain } from '../../core/log.ts'
import { AcmeProblem } from '../problem.ts'
import { type AcmeContext, createContext } from './context.ts'
import { refusalIn } from './decision.ts'
import type { Call, EndpointName } from './endpoints.ts'
import type { AcmeRequest, AcmeResponse, Reply } from './exchange.ts'
import { account, orders } from './handlers/account.ts'
import { authorization, challenge } from './handlers/authorization.ts'
import { certificate } from './handlers/certificate.ts'
import { delegation, delegations } from './handlers/delegation.ts'
import { directory, newNonce } from './handlers/directory.ts'
import { finalize } from './handlers/finalize.ts'
import { keyChange } from './handlers/key-change.ts'
import { newAccount } from './handlers/new-account.ts'
import { newOrder } from './handlers/new-order.ts'
import { order } from './handlers/order.ts'
import { renewalInfo } from './handlers/renewal-info.ts'
import { revokeCert } from './handlers/revoke-cert.ts'
import type { AcmeServerOptions } from './options.ts'
import { authenticate } from './steps/authenticate.ts'
import { openEnvelope, readPayload } from './steps/envelope.ts'
import { type Route, routeRequest } from './steps/route.ts'

type Handler<N extends EndpointName> = (call: Call<N>, context: AcmeContext) => Reply | Promise<Reply>

const HANDLERS: { readonly [N in EndpointName]: Handler<N> } = {
  directory,
  newNonce,
  newAccount,
  account,
  orders,
  delegations,
  delegation,
  newOrder,
  order,
  authorization,
  challenge,
  finalize,
  certificate,
  keyChange,
  revokeCert,
  renewalInfo,
}

export interface AcmeServer {
  handle(request: AcmeRequest): Promise<AcmeResponse>
}

/** An ACME server as a function from request to response. It opens no socket; what it remembers is in its tables. */
export function createAcmeServer(options: AcmeServerOptions): AcmeServer {
  const context = createContext(options)
  return {
    async handle(request) {
      let route: Route | undefined
      let reply: Reply
      try {
        route = routeRequest(request, context)
        reply = await serve(request, route, context)
      } catch (error) {
        reply = problemReply(error, request, context)
      }
      return finish(reply, request, route, context)
    },
  }
}

/** The checks of one row, in order, and then its handler. */
async function serve(request: AcmeRequest, route: Route, context: AcmeContext): Promise<Reply> {
  const { name, endpoint, params } = route
  const url = context.urls.ofRequest(request)
  // The table types what each handler gets; the checks above it are the same for all, hence one cast.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  const handler = HANDLERS[name] as Handler<never> as (call: unknown, context: AcmeContext) => Promise<Reply>
  if (route.verb !== 'POST') return handler({ request, url, params }, context)
  const envelope = openEnvelope(request, url)
  const signer = await authenticate(envelope, endpoint, context)
  const call = { request, url, params, ...signer, payload: readPayload(envelope, endpoint) }
  try {
    return await handler(call, context)
  } catch (error) {
    const refusal = refusalIn(error, name, call)
    if (refusal) await context.onDecision?.(refusal)
    throw error
  }
}

function problemReply(thrown: unknown, { method, path }: AcmeRequest, { log }: AcmeContext): Reply {
  if (!(thrown instanceof AcmeProblem)) log?.error({ method, path, ...explain(thrown) }, 'request failed')
  const problem = thrown instanceof AcmeProblem ? thrown : new AcmeProblem('serverInternal', 'the server has failed')
  log?.debug({ method, path, type: problem.type, detail: problem.detail }, 'request refused')
  const content = { type: 'application/problem+json', text: JSON.stringify(problem.toDocument()) }
  return { status: problem.status, headers: problem.headers, content }
}

/** What every response has: a link to the directory (RFC 8555 §7.1) and, if it answers a POST, a nonce (§6.5). */
async function finish(
  { status, headers = {}, content }: Reply,
  { method }: AcmeRequest,
  route: Route | undefined,
  { nonces, urls }: AcmeContext,
): Promise<AcmeResponse> {
  const links = [headers['Link'] ?? [], route?.name === 'directory' ? [] : `<${urls.to('directory', {})}>;rel="index"`]
  const link = links.flat()
  const carriesNonce = method === 'POST' || route?.name === 'newNonce'
  return {
    status,
    headers: {
      ...headers,
      ...(content ? { 'Content-Type': content.type } : {}),
      ...(link.length > 0 ? { Link: link } : {}),
      ...(carriesNonce ? { 'Replay-Nonce': await nonces.issue() } : {}),
    },
    body: method === 'HEAD' ? '' : (content?.text ?? ''),
  }
}

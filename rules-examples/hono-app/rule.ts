import { fromFetchHandler } from "sluice";
import app from "./app.ts";

/** `env` of the app is config's `vars` and the secrets named here. */
export default fromFetchHandler(app, { when: { path: ["/hono", "/hono/*"] }, secrets: ["jwtKey"] });

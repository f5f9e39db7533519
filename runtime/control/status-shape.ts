/** What `GET /v1/status` answers, for the OpenAPI file. */
import { z } from "zod";

export const StatusShape = z.looseObject({ state: z.enum(["starting", "serving", "draining", "stopped"]), version: z.string() });

import type { Handler } from "hono";
import { HTTPException } from "hono/http-exception";
import { problemResponse } from "./problem.ts";

/** Answers 405 for every method that the handlers before it have not taken. */
export function methodNotAllowed(...allowed: readonly string[]): Handler {
  const allow = allowed.join(", ");
  return ({ req }) => {
    const message = `${req.method} is not for this route; it takes ${allow}`;
    return problemResponse(new HTTPException(405, { message }), { allow });
  };
}

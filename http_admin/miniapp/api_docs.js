/** The HTTP API's page. `validatorUrl: null`, because the validator is somebody else's server. */
globalThis.SwaggerUIBundle({ url: "/openapi.json", dom_id: "#swagger-ui", deepLinking: true, validatorUrl: null });

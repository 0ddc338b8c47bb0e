import { defineConfig } from "vite";

/** Where `windlass serve` listens while the page is developed: `npm run dev` passes the API through to it. */
const server = "http://127.0.0.1:8765";

export default defineConfig({
  build: {
    outDir: "../src/windlass/web/static",
    emptyOutDir: true,
    target: "es2022",
    // A preload helper would write <link> elements; chunks are few, so plain imports do.
    modulePreload: { polyfill: false },
    cssCodeSplit: true,
    assetsInlineLimit: 0,
    reportCompressedSize: false,
  },
  server: {
    proxy: { "/api": server, "/launch": server, "/socket.io": { target: server, ws: true } },
  },
});

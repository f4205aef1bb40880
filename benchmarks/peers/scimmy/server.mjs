// scimmy with scimmy-routers over maps in memory: what its documentation leaves to the application is as cheap as can
// be, with an index for each look-up that the library lets a handler see.
import { randomUUID } from "node:crypto";
import express from "express";
import SCIMMY from "scimmy";
import SCIMMYRouters from "scimmy-routers";

const token = `Bearer ${process.env.BENCHMARK_TOKEN}`;

function store(type, nameOf) {
    const byId = new Map();
    const byName = new Map();

    type.ingress((resource, data) => {
        const before = resource.id === undefined ? undefined : byId.get(resource.id);
        if (resource.id !== undefined && before === undefined) throw new SCIMMY.Types.Error(404, null, "not found");
        const key = nameOf(data).toLowerCase();
        const holder = byName.get(key);
        if (holder !== undefined && holder !== before) throw new SCIMMY.Types.Error(409, "uniqueness", "taken");
        const now = new Date();
        const after = {
            ...JSON.parse(JSON.stringify(data)),
            id: before?.id ?? randomUUID(),
            meta: { ...(before?.meta ?? { created: now }), lastModified: now },
        };
        if (before !== undefined) byName.delete(nameOf(before).toLowerCase());
        byId.set(after.id, after);
        byName.set(key, after);
        return after;
    });
    type.egress((resource) => {
        if (resource.id !== undefined) {
            const found = byId.get(resource.id);
            if (found === undefined) throw new SCIMMY.Types.Error(404, null, "not found");
            return found;
        }
        const exact = /^(?:userName|displayName) eq "([^"]*)"$/i.exec(resource.filter?.expression ?? "");
        if (exact !== null) {
            const found = byName.get(exact[1].toLowerCase());
            return found === undefined ? [] : [found];
        }
        const all = [...byId.values()];
        return resource.filter === undefined ? all : resource.filter.match(all);
    });
    type.degress((resource) => {
        const before = byId.get(resource.id);
        if (before === undefined) throw new SCIMMY.Types.Error(404, null, "not found");
        byId.delete(before.id);
        byName.delete(nameOf(before).toLowerCase());
    });
    return type;
}

SCIMMY.Resources.declare(store(SCIMMY.Resources.User, (user) => user.userName));
SCIMMY.Resources.declare(store(SCIMMY.Resources.Group, (group) => group.displayName));

const app = express();
app.use(
    "/scim/v2",
    new SCIMMYRouters({
        type: "bearer",
        handler: (request) => {
            if (request.header("Authorization") !== token) throw new Error("wrong token");
            return "benchmark";
        },
    }),
);
app.listen(Number(process.env.BENCHMARK_PORT), "127.0.0.1");

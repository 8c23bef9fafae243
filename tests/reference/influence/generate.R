# Hat values, Cook's distances, standardized residuals and deletions, as lme4 has them.
# Rscript generate.R <folder of data> <output>; lme4 1.1-31. Deletions are refitted with a tight optimizer.
suppressMessages({library(lme4); library(jsonlite)})
args <- commandArgs(trailingOnly = TRUE)
folder <- if (length(args)) args[1] else "../data"
target <- if (length(args) > 1) args[2] else "influence.json"
schema <- fromJSON(file.path(folder, "schema.json"), simplifyVector = FALSE)$datasets

frame <- function(name) {
  d <- read.csv(file.path(folder, schema[[name]]$file), colClasses = "character", na.strings = "NA")
  for (column in names(schema[[name]]$columns)) {
    kind <- schema[[name]]$columns[[column]]
    d[[column]] <- if (kind$type == "factor") factor(d[[column]], levels = unlist(kind$levels)) else
      as.numeric(d[[column]])
  }
  d
}

tight <- lmerControl(optimizer = "bobyqa", optCtrl = list(rhoend = 1e-10, maxfun = 1e5),
                     calc.derivs = FALSE, check.conv.singular = "ignore")

deletions <- function(formula, d, weights, reml, unit) {
  full <- fit(formula, d, weights, reml)
  units <- unique(as.character(unit))
  parts <- lapply(units, function(u) {
    m <- fit(formula, droplevels(d[as.character(unit) != u, ]), weights, reml)
    list(beta = unname(fixef(m)), se = unname(sqrt(diag(as.matrix(vcov(m))))), sigma = sigma(m))
  })
  list(units = units, beta = lapply(parts, `[[`, "beta"), se = lapply(parts, `[[`, "se"),
       sigma = sapply(parts, `[[`, "sigma"))
}

fit <- function(formula, d, weights, reml) {
  d$.w <- if (is.null(weights)) 1 else d[[weights]]
  environment(formula) <- environment()
  if (is.null(weights)) lmer(formula, d, REML = reml, control = tight)
  else lmer(formula, d, REML = reml, weights = .w, control = tight)
}

models <- list(
  sleep_full_reml = list("sleepstudy", Reaction ~ Days + (Days | Subject), NULL, TRUE, "Subject"),
  sleep_int_ml = list("sleepstudy", Reaction ~ Days + (1 | Subject), NULL, FALSE, "Subject"),
  penicillin_reml = list("penicillin", diameter ~ 1 + (1 | plate) + (1 | sample), NULL, TRUE, "sample"),
  machines_nested_reml = list("machines", score ~ Machine + (1 | Worker/Machine), NULL, TRUE, "Worker"),
  sleep_full_weights_reml = list("sleepstudy", Reaction ~ Days + (Days | Subject), "w", TRUE, "Subject"))

out <- list(versions = list(R = R.version.string, lme4 = as.character(packageVersion("lme4"))))
for (id in names(models)) {
  spec <- models[[id]]
  d <- frame(spec[[1]])
  m <- fit(spec[[2]], d, spec[[3]], spec[[4]])
  groups <- deletions(spec[[2]], d, spec[[3]], spec[[4]], d[[spec[[5]]]])
  cases <- seq(1, nrow(d), by = 13)
  kept <- lapply(cases, function(i) {
    other <- fit(spec[[2]], d[-i, ], spec[[3]], spec[[4]])
    list(beta = unname(fixef(other)), se = unname(sqrt(diag(as.matrix(vcov(other))))))
  })
  # lme4's own figures for the levels, with the exact deletions put in place of influence()'s.
  own <- list(fixef(m), do.call(rbind, groups$beta), as.matrix(vcov(m)),
              lapply(groups$se, function(s) diag(s^2, length(s))))
  names(own) <- c("fixed.effects", "fixed.effects[-g]", "vcov", "vcov[-g]")
  db <- sweep(own[[2]], 2, own[[1]])
  n <- nrow(db); p <- ncol(db)
  cook <- rowSums((db %*% ((n - p) / (n * p) * solve(own[[3]]))) * db)
  out[[id]] <- list(
    dataset = spec[[1]], by = spec[[5]], rank = p, theta = unname(getME(m, "theta")),
    hat = unname(hatvalues(m)), cooks_distance = unname(cooks.distance(m)),
    rstudent = unname(rstudent(m)), pearson = unname(residuals(m, "pearson")),
    groups = c(groups, list(dfbetas = unname(as.list(as.data.frame(t(db / do.call(rbind, groups$se))))),
                            cooks_distance = unname(cook))),
    rows = list(position = cases - 1, beta = lapply(kept, `[[`, "beta"), se = lapply(kept, `[[`, "se")))
}

# influence() itself, with lme4's default optimizer: shows that the definitions above are its own.
d <- frame("sleepstudy")
m <- lmer(Reaction ~ Days + (Days | Subject), d)
e <- influence(m, "Subject")
out$lme4_influence <- list(units = rownames(e[["fixed.effects[-Subject]"]]),
  cooks_distance = unname(cooks.distance(e)), dfbeta = unname(as.matrix(dfbeta(e))),
  dfbetas = unname(as.matrix(dfbetas(e))))
write(toJSON(out, digits = NA, auto_unbox = TRUE), target)

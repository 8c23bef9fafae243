# Structured residuals: Rscript residual.R [ids...]  ->  residual.json
# Every model is fitted by nlme (gls, lme; tight controls, two optimisers) and maximised again as a dense
# likelihood (dense.R). The fields are those of the dense optimum; `package` is what nlme gave, and
# `excess` how far below the dense optimum its log-likelihood ended. The vcov of ML fits is
# sigma^2 (X'V^-1X)^-1; gls() multiplies that by n / (n - p), lme() does not.
suppressMessages(library(nlme))
source("frames.R"); source("dense.R")

cases <- list()
case <- function(id, data, fixed, call, terms = NULL, residual = NULL, variance = NULL,
                 weights = NULL, criteria = c(TRUE, FALSE)) {
  for (reml in criteria) {
    key <- paste0(id, if (reml) "_reml" else "_ml")
    stopifnot(is.null(cases[[key]]))
    cases[[key]] <<- list(data = data, fixed = fixed, call = substitute(call), terms = terms,
                          residual = residual, variance = variance, weights = weights, reml = reml)
  }
}
# `call` is evaluated where gls/lme have data, fixed effects, method and controls filled in
both <- c("orthodont", "orthodont_gaps")
for (name in both) {
  f <- distance ~ age * Sex
  g <- function(id) sub("orthodont", "ortho", paste0(name, "_", id))
  case(g("cs"), name, f, fit(gls, cor = corCompSymm(form = ~ 1 | Subject)), residual = "cs(1 | Subject)")
  case(g("ar1"), name, f, fit(gls, cor = corAR1(form = ~ visit | Subject)), residual = "ar1(visit | Subject)")
  case(g("arma"), name, f, fit(gls, cor = corARMA(form = ~ visit | Subject, p = 1, q = 1)),
       residual = "arma(visit | Subject)")
  case(g("homus"), name, f, fit(gls, cor = corSymm(form = ~ visit | Subject)), residual = "homus(visit | Subject)")
  case(g("us"), name, f, fit(gls, cor = corSymm(form = ~ visit | Subject), var = varIdent(form = ~ 1 | visit)),
       residual = "us(visit | Subject)")
  case(g("homtoep"), name, f, fit(gls, cor = corARMA(form = ~ visit | Subject, p = 3)),
       residual = "homtoep(visit | Subject)")
  case(g("toep"), name, f, fit(gls, cor = corARMA(form = ~ visit | Subject, p = 3),
       var = varIdent(form = ~ 1 | visit)), residual = "toep(visit | Subject)")
  case(g("cs_visits"), name, f, fit(gls, cor = corCompSymm(form = ~ visit | Subject),
       var = varIdent(form = ~ 1 | visit)), residual = "cs(visit | Subject)")
  case(g("hetar1"), name, f, fit(gls, cor = corAR1(form = ~ visit | Subject),
       var = varIdent(form = ~ 1 | visit)), residual = "hetar1(visit | Subject)")
  case(g("hetarma"), name, f, fit(gls, cor = corARMA(form = ~ visit | Subject, p = 1, q = 1),
       var = varIdent(form = ~ 1 | visit)), residual = "hetarma(visit | Subject)", criteria = TRUE)
  case(g("ident"), name, f, fit(gls, var = varIdent(form = ~ 1 | Sex)), variance = "ident(Sex)")
  case(g("cs_ident"), name, f, fit(gls, cor = corCompSymm(form = ~ 1 | Subject), var = varIdent(form = ~ 1 | Sex)),
       residual = "cs(1 | Subject)", variance = "ident(Sex)")
  case(g("int_ident"), name, f, fit(lme, random = ~ 1 | Subject, var = varIdent(form = ~ 1 | Sex)),
       terms = "us(1 | Subject)", variance = "ident(Sex)")
  case(g("int_us_visit_var"), name, f, fit(lme, random = ~ 1 | Subject, var = varIdent(form = ~ 1 | visit)),
       terms = "us(1 | Subject)", variance = "ident(visit)")
}
for (name in c("bodyweight", "bodyweight_gaps")) {
  f <- weight ~ day * Diet
  g <- function(id) sub("bodyweight", "rat", paste0(name, "_", id))
  case(g("car1"), name, f, fit(gls, cor = corCAR1(form = ~ Time | Rat)), residual = "car1(Time | Rat)")
  case(g("ar1_days"), name, f, fit(gls, cor = corAR1(form = ~ Time | Rat)), residual = "ar1(Time | Rat)", criteria = TRUE)
  case(g("slope_car1"), name, f, fit(lme, random = ~ day | Rat, cor = corCAR1(form = ~ Time | Rat)),
       terms = "us(1 + day | Rat)", residual = "car1(Time | Rat)")
  case(g("slope_power"), name, f, fit(lme, random = ~ day | Rat, var = varPower(form = ~ Time)),
       terms = "us(1 + day | Rat)", variance = "power(Time)")
  case(g("slope_exp"), name, f, fit(lme, random = ~ day | Rat, var = varExp(form = ~ day)),
       terms = "us(1 + day | Rat)", variance = "exp(day)")
  case(g("slope_exp_diet"), name, f, fit(lme, random = ~ day | Rat, var = varExp(form = ~ day | Diet)),
       terms = "us(1 + day | Rat)", variance = "exp(day | Diet)", criteria = TRUE)
  case(g("slope_car1_ident"), name, f, fit(lme, random = ~ day | Rat, cor = corCAR1(form = ~ Time | Rat),
       var = varIdent(form = ~ 1 | Diet)), terms = "us(1 + day | Rat)", residual = "car1(Time | Rat)",
       variance = "ident(Diet)")
  case(g("slope_comb"), name, f, fit(lme, random = ~ day | Rat,
       var = varComb(varIdent(form = ~ 1 | Diet), varExp(form = ~ day))), terms = "us(1 + day | Rat)",
       variance = "ident(Diet) + exp(day)")
}
for (name in c("dialyzer", "dialyzer_gaps")) {
  f <- rate ~ (pressure + I(pressure^2) + I(pressure^3)) * QB
  g <- function(id) sub("dialyzer", "dial", paste0(name, "_", id))
  case(g("power"), name, f, fit(gls, var = varPower(form = ~ pressure)), variance = "power(pressure)")
  case(g("exp"), name, f, fit(gls, var = varExp(form = ~ pressure)), variance = "exp(pressure)", criteria = TRUE)
  case(g("power_strata"), name, f, fit(gls, var = varPower(form = ~ pressure | QB)), variance = "power(pressure | QB)")
  case(g("comb"), name, f, fit(gls, var = varComb(varIdent(form = ~ 1 | QB), varPower(form = ~ pressure))),
       variance = "ident(QB) + power(pressure)")
  case(g("ar1_power"), name, f, fit(gls, cor = corAR1(form = ~ index | Subject), var = varPower(form = ~ pressure)),
       residual = "ar1(index | Subject)", variance = "power(pressure)")
  case(g("ar1_rows"), name, f, fit(gls, cor = corAR1(form = ~ 1 | Subject)), residual = "ar1(1 | Subject)")
  case(g("int_power"), name, f, fit(lme, random = ~ 1 | Subject, var = varPower(form = ~ pressure)),
       terms = "us(1 | Subject)", variance = "power(pressure)")
  if (name == "dialyzer") {
    case(g("toep"), name, f, NULL, residual = "toep(index | Subject)", criteria = TRUE)
    case(g("homus"), name, f, fit(gls, cor = corSymm(form = ~ index | Subject)),
         residual = "homus(index | Subject)", criteria = TRUE)
  }
}
for (name in c("ovary", "ovary_gaps")) {
  f <- follicles ~ sine + cosine
  g <- function(id) paste0(name, "_", id)
  case(g("ar1_rows"), name, f, fit(gls, cor = corAR1(form = ~ 1 | Mare)), residual = "ar1(1 | Mare)")
  case(g("arma_rows"), name, f, fit(gls, cor = corARMA(form = ~ 1 | Mare, p = 1, q = 1)), residual = "arma(1 | Mare)")
  case(g("car1"), name, f, fit(gls, cor = corCAR1(form = ~ Time | Mare)), residual = "car1(Time | Mare)")
  case(g("int_car1"), name, f, fit(lme, random = ~ 1 | Mare, cor = corCAR1(form = ~ Time | Mare)),
       terms = "us(1 | Mare)", residual = "car1(Time | Mare)")
  case(g("diag_ar1"), name, f, fit(lme, random = list(Mare = pdDiag(~ sine)), cor = corAR1(form = ~ 1 | Mare)),
       terms = "diag(1 + sine | Mare)", residual = "ar1(1 | Mare)")
  case(g("diag_arma"), name, f, fit(lme, random = list(Mare = pdDiag(~ sine)),
       cor = corARMA(form = ~ 1 | Mare, p = 1, q = 1)), terms = "diag(1 + sine | Mare)", residual = "arma(1 | Mare)")
}
f <- y ~ dose * trt
case("doses_all", "doses", f, fit(lme, random = ~ 1 | unit, cor = corAR1(form = ~ tnum | unit),
     var = varComb(varIdent(form = ~ 1 | trt), varPower(form = ~ dose))), terms = "us(1 | unit)",
     residual = "ar1(tnum | unit)", variance = "ident(trt) + power(dose)")
case("doses_strata", "doses", f, fit(lme, random = ~ 1 | unit, cor = corAR1(form = ~ tnum | unit),
     var = varPower(form = ~ dose | trt)), terms = "us(1 | unit)", residual = "ar1(tnum | unit)",
     variance = "power(dose | trt)")
case("doses_weights", "doses", f, fit(lme, random = ~ 1 | unit, cor = corAR1(form = ~ tnum | unit),
     var = varComb(varFixed(~ inverse), varIdent(form = ~ 1 | trt))), terms = "us(1 | unit)",
     residual = "ar1(tnum | unit)", variance = "ident(trt)", weights = "w")
case("doses_arma", "doses", f, fit(lme, random = ~ 1 | unit, cor = corARMA(form = ~ tnum | unit, p = 1, q = 1),
     var = varExp(form = ~ dose)), terms = "us(1 | unit)", residual = "arma(tnum | unit)", variance = "exp(dose)")
case("doses_exp_strata", "doses", f, fit(gls, cor = corCompSymm(form = ~ 1 | unit),
     var = varExp(form = ~ dose | trt)), residual = "cs(1 | unit)", variance = "exp(dose | trt)")
case("doses_block", "doses", f, fit(lme, random = ~ 1 | block, cor = corAR1(form = ~ tnum | block/unit),
     var = varPower(form = ~ dose)), terms = "us(1 | block)", residual = "ar1(tnum | unit)", variance = "power(dose)")
case("doses_nested", "doses", f, fit(lme, random = list(block = ~ 1, unit = ~ 1),
     cor = corAR1(form = ~ tnum | block/unit)), terms = c("us(1 | unit)", "us(1 | block)"),
     residual = "ar1(tnum | unit)")
case("doses_toep", "doses", f, NULL, residual = "homtoep(tnum | unit)", variance = "power(dose)")

nlme_fit <- function(spec, d) {
  d$inverse <- if (!is.null(d$w)) 1 / d$w
  best <- NULL
  for (opt in c("nlminb", "optim")) {
    fit <- function(kind, random = NULL, cor = NULL, var = NULL) {
      method <- if (spec$reml) "REML" else "ML"
      if (identical(kind, gls))
        do.call(gls, list(spec$fixed, d, correlation = cor, weights = var, method = method, control =
          glsControl(maxIter = 500, msMaxIter = 1000, tolerance = 1e-9, msTol = 1e-12, opt = opt)))
      else do.call(lme, list(spec$fixed, d, random = random, correlation = cor, weights = var, method = method,
        control = lmeControl(maxIter = 500, msMaxIter = 1000, niterEM = 50, tolerance = 1e-10, msTol = 1e-12, opt = opt)))
    }
    m <- tryCatch(suppressWarnings(eval(spec$call)), error = function(e) NULL)
    if (!is.null(m) && (is.null(best) || logLik(m) > logLik(best))) best <- m
  }
  if (is.null(best)) return(NULL)
  s <- best$modelStruct
  list(name = "nlme", logLik = as.numeric(logLik(best)), df = attr(logLik(best), "df"), sigma = best$sigma,
       fixef = as.list(if (inherits(best, "lme")) fixef(best) else coef(best)),
       correlation = if (!is.null(s$corStruct)) as.numeric(coef(s$corStruct, unconstrained = FALSE)),
       variance = if (!is.null(s$varStruct)) as.list(coef(s$varStruct, unconstrained = FALSE, allCoef = TRUE)))
}

lf_term <- function(t) sub("^us", "", t)
wanted <- commandArgs(trailingOnly = TRUE)
if (length(wanted)) cases <- cases[grep(wanted, names(cases))]
out <- list()
for (id in names(cases)) {
  spec <- cases[[id]]; d <- frame(spec$data)
  began <- proc.time()[3]
  ours <- reference(d, spec$fixed, spec$terms, spec$residual, spec$variance, spec$weights, spec$reml)
  theirs <- if (!is.null(spec$call)) nlme_fit(spec, d)
  excess <- if (!is.null(theirs)) ours$logLik - theirs$logLik else NA
  cat(sprintf("%-32s %14.7f  excess %9.1e  df %d %s  grad %.0e curv %.1e  %.1fs\n", id, ours$logLik, excess, ours$df,
              format(theirs$df), ours$optimum$gradient, ours$optimum$curvature, proc.time()[3] - began))
  out[[id]] <- c(list(dataset = spec$data, formula = paste(c(deparse1(spec$fixed), lf_term(spec$terms)), collapse = " + "),
    residual = spec$residual, variance = spec$variance, weights = spec$weights, reml = spec$reml), ours,
    list(package = if (!is.null(theirs)) theirs, excess = excess, call = if (!is.null(spec$call)) deparse1(spec$call)))
}
if (!length(wanted)) save_json(list(versions = versions("nlme", "numDeriv"), fits = out), "residual.json")

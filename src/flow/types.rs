//! Reads what each type is given in `with`.

use crate::definition::{Case, Level, PluginWork, Span, TaskIndex, Work};
use crate::expressions::{Reader, Seen};
use crate::http;
use crate::load::Loader;
use base::limits::NAME_BYTES_MAX;
use document::{Fault, Fields, Kind, Node};
use expr::{Template, Tree, Value};

/// Types that the language knows and this version does not run. No plugin can take their names.
const NOT_YET: [&str; 4] = ["wait", "approval", "workflow", "emit"];

/// A type of the language that comes as a plugin.
const AS_PLUGIN: &str = "webhook";

/// Plugins that a fault names, at most: a list that nobody reads helps nobody.
const NAMED_MAX: usize = 16;

/// What goes first where several tasks wait for a worker: 0 to this.
const PRIORITY_MAX: i64 = 9;
const PRIORITY_DEFAULT: i64 = 5;

/// Which types there are besides those that are built in.
#[derive(Clone, Copy, Debug)]
pub enum Plugins<'a> {
    /// Whatever is named: what was taken once is read again, whichever plugins there are by now.
    Any,
    /// The plugins of these names.
    Known(&'a [&'a str]),
}

impl<'a> Plugins<'a> {
    fn has(self, name: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Known(names) => names.contains(&name),
        }
    }

    fn names(self) -> &'a [&'a str] {
        match self {
            Self::Any => &[],
            Self::Known(names) => names,
        }
    }
}

/// Whether a plugin can have that name: a type that is not built in, of `a-z`, `0-9` and `_`.
pub fn is_plugin_name(name: &str) -> bool {
    let known = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.len() <= NAME_BYTES_MAX
        && name.bytes().all(known)
        && !Work::TYPES.contains(&name)
        && !NOT_YET.contains(&name)
}

/// Cases of one `branch`.
const CASES_MAX: usize = 64;

/// Reads a task's `type` and its `with`.
pub(crate) fn work<'a>(
    loader: &mut Loader<'a>,
    reader: &Reader<'_>,
    fields: &mut Fields<'a>,
    task: TaskIndex,
) -> Option<Work> {
    let name = loader.keep(fields.require_text("type"));
    if let Some(name) = name
        && is_plugin_name(name)
        && loader.plugins.has(name)
    {
        return Types { loader, reader, seen: Seen::Before(task) }.plugin(fields, name);
    }
    // Before its keys are read: those may be a plugin's.
    if let Some(name) = name
        && !Work::TYPES.contains(&name)
    {
        unknown(loader, fields, name);
        return None;
    }
    let with = loader.keep(fields.take_any(&["with", "config"]))?;
    let name = name?;
    let mut types = Types { loader, reader, seen: Seen::Before(task) };
    match name {
        "transform" => types.transform(fields, with),
        "branch" => types.branch(fields, with),
        "fail" => types.fail(with),
        "log" => types.log(fields, with),
        "delay" => types.delay(fields, with),
        "http" => types.http(fields, with),
        other => unreachable!("`{other}` is no built-in type, which was looked at above"),
    }
}

/// The fault of a type that is neither built in nor a plugin's.
fn unknown(loader: &mut Loader<'_>, fields: &mut Fields<'_>, name: &str) {
    let span = fields.take("type").map_or(fields.span(), |node| node.span);
    // It may be meant for a plugin, whose keys those are.
    for key in ["with", "config", "priority"] {
        fields.take(key);
    }
    let plugins = loader.plugins.names();
    let near = document::did_you_mean(name, Work::TYPES.iter().chain(plugins).copied());
    let fault = |what: String| Fault::at(loader.source, span, what);
    let fault = if NOT_YET.contains(&name) {
        fault(format!("the type `{name}` is not supported yet"))
    } else if name == AS_PLUGIN {
        fault(format!("the type `{name}` comes as a plugin, and no worker has one of that name"))
            .hint("put the plugin into a worker's folder of plugins, see docs/PLUGINS.md")
    } else if let Some(near) = near {
        fault(format!("there is no type `{name}`")).hint(format!("did you mean `{near}`?"))
    } else {
        let what = format!("`{name}` is no built-in type, and no plugin of that name is known");
        let mut known = format!("built in: {}", Work::TYPES.join(", "));
        if !plugins.is_empty() {
            known.push_str("; plugins: ");
            known.push_str(&plugins[..plugins.len().min(NAMED_MAX)].join(", "));
        }
        if plugins.len() > NAMED_MAX {
            known.push_str(", …");
        }
        fault(what).hint(known)
    };
    loader.faults.push(fault);
}

struct Types<'l, 'a, 'r> {
    loader: &'l mut Loader<'a>,
    reader: &'l Reader<'r>,
    seen: Seen,
}

impl<'a> Types<'_, 'a, '_> {
    fn tree(&mut self, node: &Node) -> Option<Tree> {
        self.reader.tree(self.loader, node, self.seen)
    }

    /// A text that may hold `${ }`.
    fn text(&mut self, key: &str, node: &Node) -> Option<Template> {
        if let Kind::Text { value, .. } = &node.kind {
            return self.reader.template(self.loader, node, value, self.seen);
        }
        let what = format!("`{key}` must be text, this is {}", node.kind_name());
        self.loader.fault(node.span, what);
        None
    }

    /// The `with`, which must be there.
    fn required(&mut self, fields: &Fields<'a>, with: Option<&'a Node>) -> Option<&'a Node> {
        if with.is_none() {
            self.loader.faults.push(fields.missing("with"));
        }
        with
    }

    fn map(&mut self, with: &'a Node, what: &'static str) -> Option<Fields<'a>> {
        let fields = Fields::of(self.loader.source, with, what);
        self.loader.keep(fields)
    }

    fn transform(&mut self, fields: &Fields<'a>, with: Option<&'a Node>) -> Option<Work> {
        let with = self.required(fields, with)?;
        Some(Work::Transform { with: self.tree(with)? })
    }

    fn branch(&mut self, fields: &Fields<'a>, with: Option<&'a Node>) -> Option<Work> {
        let with = self.required(fields, with)?;
        let mut fields = self.map(with, "the `with` of a branch")?;
        let otherwise = fields.take("else").map(|otherwise| self.tree(otherwise));
        let list = match self.loader.keep(fields.list("cases")) {
            Some(None) => {
                self.loader.faults.push(fields.missing("cases"));
                None
            }
            list => list.flatten(),
        };
        self.loader.finish(fields);
        let list = list?;
        if list.is_empty() || list.len() > CASES_MAX {
            let what = format!("a branch has 1 to {CASES_MAX} cases, this one has {}", list.len());
            self.loader.fault(with.span, what);
            return None;
        }
        let cases: Vec<Option<Case>> = list.iter().map(|node| self.case(node)).collect();
        let cases = cases.into_iter().collect::<Option<Vec<_>>>()?;
        let otherwise = match otherwise {
            None => None,
            Some(tree) => Some(tree?),
        };
        Some(Work::Branch { cases, otherwise })
    }

    fn case(&mut self, node: &'a Node) -> Option<Case> {
        let mut fields = self.map(node, "a case")?;
        let when = self.loader.keep(fields.require("when"));
        let then = self.loader.keep(fields.require("then"));
        self.loader.finish(fields);
        let when =
            when.and_then(|when| self.reader.condition(self.loader, "when", when, self.seen));
        let then = then.and_then(|then| self.tree(then));
        Some(Case { when: when?, then: then? })
    }

    fn fail(&mut self, with: Option<&'a Node>) -> Option<Work> {
        let plain = |text: &str| Template::parse(text).expect("a plain text is a template");
        let mut code = Some(plain("failed"));
        let mut message = Some(plain("the workflow says so"));
        if let Some(with) = with {
            let mut fields = self.map(with, "the `with` of a fail")?;
            if let Some(node) = fields.take("code") {
                code = self.text("code", node);
            }
            if let Some(node) = fields.take("message") {
                message = self.text("message", node);
            }
            self.loader.finish(fields);
        }
        Some(Work::Fail { code: code?, message: message? })
    }

    fn log(&mut self, fields: &Fields<'a>, with: Option<&'a Node>) -> Option<Work> {
        let with = self.required(fields, with)?;
        let mut fields = self.map(with, "the `with` of a log")?;
        let level = self.level(&mut fields);
        let message = self.loader.keep(fields.require("message"));
        let extra = self.loader.keep(fields.map("fields"));
        self.loader.finish(fields);
        let message = message.and_then(|message| self.text("message", message));
        let extra = match extra? {
            None => None,
            Some(node) => Some(self.tree(node)?),
        };
        Some(Work::Log { level: level?, message: message?, fields: extra })
    }

    fn level(&mut self, fields: &mut Fields<'a>) -> Option<Level> {
        let Some(name) = self.loader.keep(fields.text("level"))? else { return Some(Level::Info) };
        if let Some(level) = Level::from_name(name) {
            return Some(level);
        }
        let span = fields.take("level").map_or(fields.span(), |node| node.span);
        let fault = Fault::at(self.loader.source, span, format!("`level` cannot be `{name}`"));
        self.loader.faults.push(fault.expecting(name, &Level::NAMES));
        None
    }

    fn delay(&mut self, fields: &Fields<'a>, with: Option<&'a Node>) -> Option<Work> {
        let with = self.required(fields, with)?;
        let mut fields = self.map(with, "the `with` of a delay")?;
        let node = self.loader.keep(fields.require("for"));
        self.loader.finish(fields);
        let node = node?;
        if let Some(text) = node.as_text()
            && text.contains("${")
        {
            let template = self.text("for", node)?;
            return Some(Work::Delay { span: Span::Computed(template) });
        }
        let duration = document::duration(self.loader.source, node);
        Some(Work::Delay { span: Span::Fixed(self.loader.keep(duration)?) })
    }

    fn http(&mut self, fields: &Fields<'a>, with: Option<&'a Node>) -> Option<Work> {
        let with = self.required(fields, with)?;
        let mut fields = self.map(with, "the `with` of an http task")?;
        let url = self.loader.keep(fields.require("url"));
        let parts = [
            ("url", url),
            ("method", fields.take("method")),
            ("headers", fields.take("headers")),
            ("body", fields.take("body")),
        ];
        self.loader.finish(fields);
        let faults_before = self.loader.faults.len();
        let mut entries = Vec::new();
        for (key, node) in parts {
            let Some(node) = node else { continue };
            let Some(tree) = self.tree(node) else { continue };
            self.check_part(key, node, &tree);
            entries.push((key, tree));
        }
        let sound = url.is_some() && self.loader.faults.len() == faults_before;
        sound.then(|| Work::Http { with: Tree::map(entries) })
    }

    fn plugin(&mut self, fields: &mut Fields<'a>, name: &str) -> Option<Work> {
        let config = fields.take("config");
        let config_at = config.map_or(fields.span(), |config| config.span);
        let config = config.map(|config| self.config(config));
        let with = fields.take("with").map(|with| self.tree(with));
        let priority = self.loader.keep(fields.whole("priority", 0..=PRIORITY_MAX))?;
        let priority = u8::try_from(priority.unwrap_or(PRIORITY_DEFAULT)).expect("one digit");
        let config = config.unwrap_or_else(|| Some("{}".to_owned()))?.into();
        let with = with.unwrap_or_else(|| Some(Tree::map([] as [(&str, Tree); 0])))?;
        Some(Work::Plugin(PluginWork { plugin: name.into(), config, config_at, with, priority }))
    }

    /// What a plugin is set up with: known when the workflow is loaded.
    fn config(&mut self, node: &Node) -> Option<String> {
        let tree = self.tree(node)?;
        if let Some(constant) = tree.constant() {
            return Some(constant.to_json());
        }
        let what = "a plugin's `config` is read when the workflow is loaded: it cannot hold ${ }";
        let fault = Fault::at(self.loader.source, node.span, what);
        let hint = "what differs from run to run belongs into `with`";
        self.loader.faults.push(fault.hint(hint));
        None
    }

    /// Checks as much of a part of a request as is known now.
    fn check_part(&mut self, key: &'static str, node: &Node, tree: &Tree) {
        if key == "headers" {
            for entry in node.as_map().unwrap_or_default() {
                if let Err(error) = http::check_header_name(&entry.key) {
                    self.loader.fault(entry.key_span, error.to_string());
                }
            }
        }
        let Some(constant) = tree.constant() else { return };
        let checked = match (key, constant) {
            ("url", Value::Text(url)) => http::check_url(url),
            ("method", Value::Text(method)) => http::check_method(method),
            ("url" | "method", other) => Err(http::wrong(key, "text", other)),
            ("headers", Value::Map(_)) | ("body", _) => Ok(()),
            (_, other) => Err(http::wrong(key, "a map", other)),
        };
        if let Err(error) = checked {
            self.loader.fault(node.span, error.to_string());
        }
    }
}
